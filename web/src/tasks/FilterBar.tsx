import { Button, Checkbox, Group, MultiSelect, NumberInput, Radio, Stack, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconCode, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { searchField } from '../app/useKeyboard';
import { useTimeZone } from '../settings/settings';
import { sourcesQuery } from '../sources/queries';
import { formatDuration, formatTime, fromInputTime, toInputTime } from '../time/format';
import { useNow } from '../time/useNow';
import { Expression } from './Expression';
import classes from './FilterBar.module.css';
import { FilterChip } from './FilterChip';
import { definitionsQuery } from './queries';
import { isFiltered, sinceNames, sinces, statuses, statusNames, type TaskSearch } from './search';

interface FilterBarProps {
  search: TaskSearch;
  /** The expression that the search stands for. */
  filters: string;
  onChange: (search: TaskSearch) => void;
  /** What the server finds wrong with the expression. */
  error: string | null;
}

type Changes = { [K in keyof TaskSearch]?: TaskSearch[K] | undefined };

/** Leaves out what is undefined or empty, so that the URL stays short. */
function changed(search: TaskSearch, changes: Changes): TaskSearch {
  const all = Object.entries({ ...search, ...changes });
  return Object.fromEntries(
    all.filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0)),
  );
}

export function FilterBar({ search, filters, onChange, error }: FilterBarProps) {
  const [writing, setWriting] = useState(search.where !== undefined);
  const change = (changes: Changes) => onChange(changed(search, changes));
  const bySort = search.sort === undefined ? {} : { sort: search.sort };
  return (
    <Stack gap="xs">
      <Group gap={6} role="group" aria-label="Filters">
        {search.where === undefined && <Chips search={search} onChange={change} />}
        <Button
          size="compact-sm"
          variant={writing ? 'light' : 'subtle'}
          color="gray"
          leftSection={<IconCode size={14} aria-hidden />}
          aria-expanded={writing}
          onClick={() => setWriting(!writing)}
        >
          Expression
        </Button>
        {isFiltered(search) && (
          <Button size="compact-sm" variant="subtle" color="gray" onClick={() => onChange(bySort)}>
            Remove all
          </Button>
        )}
      </Group>
      {(writing || error !== null) && (
        <Expression
          key={filters}
          filters={filters}
          error={error}
          onApply={(where) => onChange(where === '' ? bySort : { where, ...bySort })}
        />
      )}
    </Stack>
  );
}

function Chips({ search, onChange }: { search: TaskSearch; onChange: (changes: Changes) => void }) {
  return (
    <>
      <NameFilter
        key={search.name ?? ''}
        value={search.name ?? ''}
        onChange={(name) => onChange({ name: name === '' ? undefined : name })}
      />
      <FilterChip
        label="Status"
        value={search.status?.map((status) => statusNames[status]).join(', ') ?? null}
        onRemove={() => onChange({ status: undefined })}
      >
        <Checkbox.Group label="Status" value={search.status ?? []} onChange={(status) => onChange({ status })}>
          <Stack gap={8} mt={8}>
            {statuses.map((status) => (
              <Checkbox key={status} value={status} label={statusNames[status]} size="sm" />
            ))}
          </Stack>
        </Checkbox.Group>
      </FilterChip>
      <TypeFilter search={search} onChange={onChange} />
      <SourceFilter search={search} onChange={onChange} />
      <CreatedFilter search={search} onChange={onChange} />
      <FilterChip
        label="Duration"
        value={durationText(search)}
        onRemove={() => onChange({ longer: undefined, shorter: undefined })}
      >
        <Stack gap="xs">
          <SecondsInput
            label="At least, in seconds"
            value={search.longer}
            onChange={(longer) => onChange({ longer })}
          />
          <SecondsInput
            label="At most, in seconds"
            value={search.shorter}
            onChange={(shorter) => onChange({ shorter })}
          />
        </Stack>
      </FilterChip>
      <FilterChip label="Launcher" value={search.launcher ?? null} onRemove={() => onChange({ launcher: undefined })}>
        <LazyText
          label="Launched by"
          value={search.launcher ?? ''}
          onChange={(launcher) => onChange({ launcher: launcher === '' ? undefined : launcher })}
        />
      </FilterChip>
    </>
  );
}

function NameFilter({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const send = useDebouncedCallback(onChange, 350);
  return (
    <TextInput
      className={classes.name}
      size="xs"
      type="search"
      aria-label="Name contains"
      placeholder="Name contains…"
      leftSection={<IconSearch size={14} aria-hidden />}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        send(event.currentTarget.value.trim());
      }}
      {...searchField}
    />
  );
}

function TypeFilter({ search, onChange }: { search: TaskSearch; onChange: (changes: Changes) => void }) {
  const definitions = useQuery(definitionsQuery);
  const known = new Map((definitions.data ?? []).map((definition) => [definition.name, definition.displayName]));
  for (const type of search.type ?? []) if (!known.has(type)) known.set(type, type);
  return (
    <FilterChip
      label="Type"
      value={search.type?.map((type) => known.get(type) ?? type).join(', ') ?? null}
      onRemove={() => onChange({ type: undefined })}
    >
      <MultiSelect
        label="Type"
        data={[...known].map(([value, label]) => ({ value, label }))}
        value={search.type ?? []}
        onChange={(type) => onChange({ type })}
        searchable
        comboboxProps={{ withinPortal: false }}
      />
    </FilterChip>
  );
}

function SourceFilter({ search, onChange }: { search: TaskSearch; onChange: (changes: Changes) => void }) {
  const sources = useQuery(sourcesQuery);
  const known = new Map((sources.data?.items ?? []).map((source) => [source.id, source.name]));
  for (const id of search.source ?? []) if (!known.has(id)) known.set(id, id);
  return (
    <FilterChip
      label="Source"
      value={search.source?.map((id) => known.get(id) ?? id).join(', ') ?? null}
      onRemove={() => onChange({ source: undefined })}
    >
      <MultiSelect
        label="Source"
        data={[...known].map(([value, label]) => ({ value, label }))}
        value={search.source ?? []}
        onChange={(source) => onChange({ source })}
        searchable
        nothingFoundMessage="No source"
        comboboxProps={{ withinPortal: false }}
      />
    </FilterChip>
  );
}

function CreatedFilter({ search, onChange }: { search: TaskSearch; onChange: (changes: Changes) => void }) {
  const [zone] = useTimeZone();
  const now = useNow(60_000);
  const range = [
    search.from !== undefined && `from ${formatTime(search.from, zone, now)}`,
    search.to !== undefined && `to ${formatTime(search.to, zone, now)}`,
  ].filter((part) => part !== false);
  const value = search.since !== undefined ? sinceNames[search.since] : range.join(' ') || null;
  const input = (label: string, key: 'from' | 'to') => (
    <TextInput
      type="datetime-local"
      size="xs"
      label={`${label} (${zone === 'utc' ? 'UTC' : 'local time'})`}
      value={search[key] === undefined ? '' : toInputTime(search[key], zone)}
      onChange={(event) => onChange({ since: undefined, [key]: fromInputTime(event.currentTarget.value, zone) })}
    />
  );
  return (
    <FilterChip
      label="Created"
      value={value}
      onRemove={() => onChange({ since: undefined, from: undefined, to: undefined })}
    >
      <Stack gap="xs">
        <Radio.Group
          label="Created in"
          value={search.since ?? null}
          onChange={(since) => onChange({ since: since, from: undefined, to: undefined })}
        >
          <Stack gap={8} mt={8}>
            {sinces.map((since) => (
              <Radio key={since} value={since} label={sinceNames[since]} size="sm" />
            ))}
          </Stack>
        </Radio.Group>
        {input('Or from', 'from')}
        {input('to', 'to')}
      </Stack>
    </FilterChip>
  );
}

function durationText({ longer, shorter }: TaskSearch): string | null {
  const parts = [
    longer !== undefined && `at least ${formatDuration(longer * 1000)}`,
    shorter !== undefined && `at most ${formatDuration(shorter * 1000)}`,
  ].filter((part) => part !== false);
  return parts.join(', ') || null;
}

interface SecondsInputProps {
  label: string;
  value: number | undefined;
  onChange: (value: number | undefined) => void;
}

function SecondsInput({ label, value, onChange }: SecondsInputProps) {
  const send = useDebouncedCallback(
    (given: string | number) => onChange(Number(given) > 0 ? Number(given) : undefined),
    500,
  );
  return <NumberInput size="xs" label={label} min={0} defaultValue={value ?? ''} onChange={send} />;
}

function LazyText({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  const send = useDebouncedCallback((text: string) => onChange(text.trim()), 500);
  return (
    <TextInput size="xs" label={label} defaultValue={value} onChange={(event) => send(event.currentTarget.value)} />
  );
}
