import { AppShell, Burger, Group, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, Outlet } from '@tanstack/react-router';
import type { Session } from '../api/types';
import { ConnectionBanner } from './ConnectionBanner';
import { HeaderMenu } from './HeaderMenu';
import { HelpDialog } from './HelpDialog';
import { LiveSwitch } from './LiveSwitch';
import { Navigation } from './Navigation';
import classes from './Shell.module.css';
import { useKeyboard } from './useKeyboard';

export function Shell({ session }: { session: Session }) {
  const [menuOpen, menu] = useDisclosure();
  const [helpOpen, help] = useDisclosure();
  useKeyboard(help.open);
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !menuOpen } }}
      padding="md"
    >
      <AppShell.Header>
        <a href="#content" className="skip">
          Skip to the content
        </a>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={menuOpen} onClick={menu.toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
            <Link to="/" className={classes.brand}>
              <img src="/favicon.svg" alt="" width="26" height="26" />
              <Text span fw={700} size="lg">
                Stint
              </Text>
            </Link>
          </Group>
          <Group gap={4} wrap="nowrap">
            <LiveSwitch />
            <HeaderMenu session={session} onHelp={help.open} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs">
        <Navigation session={session} onNavigate={menu.close} />
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1} className={classes.main}>
        <ConnectionBanner />
        <Outlet />
      </AppShell.Main>
      <HelpDialog opened={helpOpen} onClose={help.close} />
    </AppShell>
  );
}
