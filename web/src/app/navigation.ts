import {
  IconChecklist,
  IconDatabase,
  IconKey,
  IconLayoutDashboard,
  IconListSearch,
  type Icon,
} from '@tabler/icons-react';
import type { LinkProps } from '@tanstack/react-router';
import type { RightName } from '../api/types';

export interface NavigationEntry {
  to: NonNullable<LinkProps['to']>;
  label: string;
  icon: Icon;
  /** Who lacks it is not offered the page. */
  right: RightName;
}

export interface NavigationGroup {
  label: string;
  entries: NavigationEntry[];
}

/** The pages, in the order of the menu. */
export const navigation: NavigationGroup[] = [
  {
    label: 'Work',
    entries: [
      { to: '/', label: 'Overview', icon: IconLayoutDashboard, right: 'readTasks' },
      { to: '/tasks', label: 'Tasks', icon: IconChecklist, right: 'readTasks' },
      { to: '/sources', label: 'Sources', icon: IconDatabase, right: 'readSources' },
    ],
  },
  {
    label: 'Administration',
    entries: [
      { to: '/tokens', label: 'Tokens', icon: IconKey, right: 'manageTokens' },
      { to: '/audit', label: 'Audit', icon: IconListSearch, right: 'readAudit' },
    ],
  },
];
