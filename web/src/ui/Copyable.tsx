import { ActionIcon, Box, Code, CopyButton, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';

/** Text to read or to take along, as it is. */
export function Copyable({ text, label, maxHeight = 420 }: { text: string; label: string; maxHeight?: number }) {
  return (
    <Box pos="relative">
      {/* What can be scrolled must be reachable by the keyboard. */}
      <Code block mah={maxHeight} style={{ overflow: 'auto' }} pr={44} tabIndex={0} aria-label={label}>
        {text}
      </Code>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? 'Copied' : 'Copy'}>
            <ActionIcon variant="default" pos="absolute" top={8} right={8} onClick={copy} aria-label={`Copy ${label}`}>
              {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </Box>
  );
}
