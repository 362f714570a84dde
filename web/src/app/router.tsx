import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import { readSearch } from '../tasks/search';
import { Loading } from '../ui/Loading';
import { NotFound, PageFailed } from './Failures';
import { Root } from './Root';
import { parseSearch, stringifySearch } from './url';

const root = createRootRoute({
  component: Root,
  notFoundComponent: NotFound,
});

const overview = createRoute({
  getParentRoute: () => root,
  path: '/',
  component: lazyRouteComponent(() => import('../overview/OverviewPage'), 'OverviewPage'),
});

const tasks = createRoute({
  getParentRoute: () => root,
  path: '/tasks',
  validateSearch: readSearch,
  component: lazyRouteComponent(() => import('../tasks/TasksPage'), 'TasksPage'),
});

const task = createRoute({
  getParentRoute: () => root,
  path: '/tasks/$id',
  component: lazyRouteComponent(() => import('../task/TaskPage'), 'TaskPage'),
});

const sources = createRoute({
  getParentRoute: () => root,
  path: '/sources',
  component: lazyRouteComponent(() => import('../sources/SourcesPage'), 'SourcesPage'),
});

export const sourceTabs = ['runs', 'accounts', 'entitlements', 'settings'] as const;
export type SourceTab = (typeof sourceTabs)[number];

const source = createRoute({
  getParentRoute: () => root,
  path: '/sources/$id',
  validateSearch: (raw: Record<string, unknown>): { tab?: SourceTab } => {
    const tab = sourceTabs.find((known) => known === raw.tab);
    return tab === undefined ? {} : { tab };
  },
  component: lazyRouteComponent(() => import('../sources/SourcePage'), 'SourcePage'),
});

const tokens = createRoute({
  getParentRoute: () => root,
  path: '/tokens',
  component: lazyRouteComponent(() => import('../clients/TokensPage'), 'TokensPage'),
});

export interface AuditSearch {
  action?: string;
  actor?: string;
  object?: string;
}

const audit = createRoute({
  getParentRoute: () => root,
  path: '/audit',
  validateSearch: (raw: Record<string, unknown>): AuditSearch => {
    const search: AuditSearch = {};
    for (const key of ['action', 'actor', 'object'] as const) {
      const value = raw[key];
      if (typeof value === 'string' && value !== '') search[key] = value;
    }
    return search;
  },
  component: lazyRouteComponent(() => import('../audit/AuditPage'), 'AuditPage'),
});

const routeTree = root.addChildren([overview, tasks, task, sources, source, tokens, audit]);

export function newRouter() {
  return createRouter({
    routeTree,
    parseSearch,
    stringifySearch,
    defaultPreload: 'intent',
    defaultPendingComponent: Loading,
    defaultErrorComponent: PageFailed,
    scrollRestoration: true,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof newRouter>;
  }
}
