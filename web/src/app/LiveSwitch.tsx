import { Button, Tooltip } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useLiveState } from '../live/live';
import type { StreamState } from '../live/stream';
import { useHeld } from '../settings/settings';

const words: Record<StreamState, { label: string; hint: string }> = {
  live: { label: 'Live', hint: 'Changes show at once. Click to hold them.' },
  connecting: { label: 'Connecting', hint: 'Live updates are about to begin. Click to hold them.' },
  waiting: { label: 'Waiting', hint: 'Live updates broke off and are tried again. Click to hold them.' },
  hidden: { label: 'Live', hint: 'Live updates rest while this page is hidden.' },
  held: { label: 'Paused', hint: 'Nothing on this page changes by itself. Click to go on.' },
};

/** Holds live updates, and lets them go on. Pages without any have no switch. */
export function LiveSwitch() {
  const state = useLiveState();
  const [held, setHeld] = useHeld();
  const queryClient = useQueryClient();
  if (state === null) return null;
  const { label, hint } = words[state];
  return (
    <Tooltip label={hint}>
      <Button
        size="compact-sm"
        variant={held ? 'light' : 'subtle'}
        color={held || state === 'waiting' ? 'orange' : 'gray'}
        leftSection={held ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />}
        aria-pressed={held}
        aria-label={held ? 'Paused: go on with live updates' : `${label}: pause live updates`}
        onClick={() => {
          setHeld(!held);
          if (held) void queryClient.invalidateQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
        }}
      >
        {label}
      </Button>
    </Tooltip>
  );
}
