declare global {
  interface Window {
    __webpack_nonce__?: string;
  }
}

/** The nonce that the server allows styles under; made anew for each page it serves. */
export function styleNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content ?? '';
}

// What locks the scrolling behind a dialog looks for it here.
window.__webpack_nonce__ = styleNonce();
