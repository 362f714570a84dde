import { api, bodyOf, pageOf, type Page } from '../api/client';
import type { Scope, UserLevel } from '../api/types';

/** A personal access token, or an application, which has no user. */
export interface Client {
  id: string;
  name: string;
  user?: string;
  levels?: UserLevel[];
  scopes: Scope[];
  created: string;
  expires: string | null;
  revoked: string | null;
  lastUsed: string | null;
}

export interface NewClient {
  name: string;
  user: string;
  levels: UserLevel[];
  scopes: Scope[];
  sources: string[];
  expires: string | null;
}

export type ClientWithSecret = Client & { secret: string };

/** The two sorts of clients, which differ in their paths and in whether there is a user. */
export interface ClientSort {
  key: string;
  one: string;
  many: string;
  hasUser: boolean;
  list: (query: { limit: number; offset: number; count: true }, signal: AbortSignal) => Promise<Page<Client>>;
  create: (client: NewClient) => Promise<ClientWithSecret>;
  rotate: (id: string, reason: string) => Promise<ClientWithSecret>;
  revoke: (id: string) => Promise<Client>;
}

const path = (id: string) => ({ params: { path: { id } } });

export const tokens: ClientSort = {
  key: 'tokens',
  one: 'personal access token',
  many: 'personal access tokens',
  hasUser: true,
  list: (query, signal) =>
    pageOf(api.GET('/stint/v1/tokens', { params: { query: { ...query, sorters: '-created' } }, signal })),
  create: ({ name, user, levels, scopes, sources, expires }) =>
    bodyOf(
      api.POST('/stint/v1/tokens', {
        body: { user, levels, scopes, expires, ...(name !== '' && { name }), ...(sources.length > 0 && { sources }) },
      }),
    ),
  rotate: (id, reason) => bodyOf(api.POST('/stint/v1/tokens/{id}/rotate', { ...path(id), body: { reason } })),
  revoke: (id) => bodyOf(api.DELETE('/stint/v1/tokens/{id}', path(id))),
};

export const applications: ClientSort = {
  key: 'applications',
  one: 'application',
  many: 'applications',
  hasUser: false,
  list: (query, signal) =>
    pageOf(api.GET('/stint/v1/applications', { params: { query: { ...query, sorters: '-created' } }, signal })),
  create: ({ name, scopes, expires }) =>
    bodyOf(api.POST('/stint/v1/applications', { body: { name, scopes, expires } })),
  rotate: (id, reason) => bodyOf(api.POST('/stint/v1/applications/{id}/rotate', { ...path(id), body: { reason } })),
  revoke: (id) => bodyOf(api.DELETE('/stint/v1/applications/{id}', path(id))),
};
