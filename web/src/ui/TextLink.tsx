import { Anchor, type AnchorProps } from '@mantine/core';
import { createLink, type LinkComponent } from '@tanstack/react-router';
import type { AnchorHTMLAttributes, Ref } from 'react';

type PlainProps = AnchorProps &
  Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof AnchorProps> & { ref?: Ref<HTMLAnchorElement> };

function PlainAnchor(props: PlainProps) {
  return <Anchor size="sm" {...props} />;
}

/** A link to a page of the console that looks like one. */
export const TextLink: LinkComponent<typeof PlainAnchor> = createLink(PlainAnchor);
