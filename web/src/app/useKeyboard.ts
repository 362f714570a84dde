import { useEffect, useEffectEvent } from 'react';

/** Marks the field that "/" goes to, and the links that "j" and "k" walk along. */
export const searchField = { 'data-search-field': true };
export const rowLink = { 'data-row-link': true };

/** The keys that work on every page, unless somebody writes. */
export function useKeyboard(onHelp: () => void) {
  const press = useEffectEvent((event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
    const handled = keyPressed(event.key, onHelp);
    if (handled) event.preventDefault();
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent) => press(event);
    document.addEventListener('keydown', listener);
    return () => {
      document.removeEventListener('keydown', listener);
    };
  }, []);
}

function isWriting(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    target.closest('input, textarea, select, [contenteditable], [role="dialog"]') !== null
  );
}

function keyPressed(key: string, onHelp: () => void): boolean {
  switch (key) {
    case '?':
      onHelp();
      return true;
    case '/':
      return focusOn(document.querySelector('[data-search-field]'));
    case 'j':
      return walk(1);
    case 'k':
      return walk(-1);
    default:
      return false;
  }
}

function walk(step: 1 | -1): boolean {
  const links = [...document.querySelectorAll<HTMLElement>('[data-row-link]')];
  const at = links.findIndex((link) => link === document.activeElement);
  const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1);
  return focusOn(links[next] ?? null);
}

function focusOn(element: HTMLElement | null): boolean {
  element?.focus();
  element?.scrollIntoView({ block: 'nearest' });
  return element !== null;
}
