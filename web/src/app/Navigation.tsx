import { NavLink, Stack, Text } from '@mantine/core';
import { Link, useLocation } from '@tanstack/react-router';
import type { Session } from '../api/types';
import { navigation } from './navigation';

/** The menu: what the session's rights allow, and no more. */
export function Navigation({ session, onNavigate }: { session: Session; onNavigate: () => void }) {
  const path = useLocation({ select: (location) => location.pathname });
  const groups = navigation
    .map((group) => ({ ...group, entries: group.entries.filter((entry) => session.rights[entry.right] !== 'none') }))
    .filter((group) => group.entries.length > 0);
  return (
    <Stack component="nav" aria-label="Pages" gap="md">
      {groups.map((group) => (
        <div key={group.label}>
          <Text size="xs" c="dimmed" fw={600} px="xs" pb={4}>
            {group.label}
          </Text>
          {group.entries.map(({ to, label, icon: Icon }) => {
            const active = to === '/' ? path === '/' : path.startsWith(to);
            return (
              <NavLink
                key={to}
                component={Link}
                to={to}
                label={label}
                leftSection={<Icon size={18} aria-hidden />}
                active={active}
                aria-current={active ? 'page' : undefined}
                onClick={onNavigate}
              />
            );
          })}
        </div>
      ))}
    </Stack>
  );
}
