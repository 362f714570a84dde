import { ActionIcon, Menu, Text, Tooltip, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { IconClock, IconHelp, IconLogout, IconMoon, IconSun, IconUser } from '@tabler/icons-react';
import type { Session } from '../api/types';
import { useSignOut } from '../session/session';
import { useTimeZone } from '../settings/settings';
import { localZoneName } from '../time/format';
import { Time } from '../time/Time';

export function HeaderMenu({ session, onHelp }: { session: Session; onHelp: () => void }) {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme('light', { getInitialValueInEffect: false }) === 'dark';
  const [zone, setZone] = useTimeZone();
  const signOut = useSignOut();
  return (
    <>
      <Tooltip label={zone === 'utc' ? `Show times in ${localZoneName()}` : 'Show times in UTC'}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={zone === 'utc' ? 'Times are in UTC: show local times' : 'Times are local: show UTC'}
          onClick={() => setZone(zone === 'utc' ? 'local' : 'utc')}
        >
          {zone === 'utc' ? (
            <Text size="xs" fw={700}>
              UTC
            </Text>
          ) : (
            <IconClock size={18} />
          )}
        </ActionIcon>
      </Tooltip>
      <Tooltip label={dark ? 'Light theme' : 'Dark theme'}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={dark ? 'Light theme' : 'Dark theme'}
          onClick={() => setColorScheme(dark ? 'light' : 'dark')}
        >
          {dark ? <IconSun size={18} /> : <IconMoon size={18} />}
        </ActionIcon>
      </Tooltip>
      <Tooltip label="Keyboard and help (?)">
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Help" onClick={onHelp} visibleFrom="xs">
          <IconHelp size={18} />
        </ActionIcon>
      </Tooltip>
      <Menu position="bottom-end" width={260}>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Signed in as ${session.user}`}>
            <IconUser size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
              {session.user}
            </Text>
            <Text size="xs">{session.levels.join(', ') || 'Application'}</Text>
            {session.expires !== null && (
              <Text size="xs">
                Signed in until <Time value={session.expires} />
              </Text>
            )}
            {session.kind === 'open' && <Text size="xs">This server asks nobody to sign in.</Text>}
          </Menu.Label>
          <Menu.Divider />
          <Menu.Item leftSection={<IconHelp size={16} />} onClick={onHelp}>
            Keyboard and help
          </Menu.Item>
          {session.kind !== 'open' && (
            <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void signOut()}>
              Sign out
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
