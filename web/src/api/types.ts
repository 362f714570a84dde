import type { components, operations } from './schema';

type Schemas = components['schemas'];

export type Task = Schemas['StintTask'];
export type TaskWithHistory = Task & { history: HistoryEvent[] };
export type HistoryEvent = Schemas['HistoryEvent'];
/** What the list of tasks is sorted by. */
export type TaskSort = NonNullable<NonNullable<operations['listTasks']['parameters']['query']>['sorters']>;
export type TaskMessage = Schemas['Message'];
export type CompletionStatus = Schemas['CompletionStatus'];
export type Definition = Schemas['Definition'];
export type Source = Schemas['Source'];
export type NewSource = Schemas['NewSource'];
export type Account = Schemas['Account'];
export type Entitlement = Schemas['Entitlement'];
export type Change = Schemas['Change'];
export type Token = Schemas['Token'];
export type Application = Schemas['Application'];
export type UserLevel = Schemas['UserLevel'];
export type Scope = Schemas['Scope'];
export type AuditEntry = Schemas['AuditEntry'];
export type Session = Schemas['Session'];
export type SessionWays = Schemas['SessionWays'];
export type RightName = keyof Session['rights'];
export type Run = Schemas['Run'];
export type Job = Schemas['LatestRuns']['groups'][number];
