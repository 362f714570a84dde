import { Group, NumberInput, Stack, TagsInput, Textarea, TextInput } from '@mantine/core';
import type { NewSource, Source } from '../api/types';

/** What people write of a source. */
export interface SourceFields {
  name: string;
  description: string;
  accountId: string;
  displayName: string;
  entitlements: string[];
  multiValueSeparator: string;
  delimiter: string;
  percent: number;
  minimum: number;
}

export const emptySource: SourceFields = {
  name: '',
  description: '',
  accountId: '',
  displayName: '',
  entitlements: [],
  multiValueSeparator: ',',
  delimiter: ',',
  percent: 10,
  minimum: 10,
};

export function fieldsOf(source: Source): SourceFields {
  const { accountId, displayName, entitlements, multiValueSeparator, delimiter } = source.connectorAttributes;
  const { name, description, deletionThreshold } = source;
  return {
    name,
    description,
    accountId,
    displayName: displayName ?? '',
    entitlements,
    multiValueSeparator,
    delimiter,
    ...deletionThreshold,
  };
}

/** The form in which the API takes it, for a new source and for a change. */
export function sourceOf(fields: SourceFields): NewSource {
  return {
    name: fields.name.trim(),
    description: fields.description,
    type: 'DelimitedFile',
    connectorAttributes: {
      accountId: fields.accountId.trim(),
      displayName: fields.displayName.trim() === '' ? null : fields.displayName.trim(),
      entitlements: fields.entitlements,
      multiValueSeparator: fields.multiValueSeparator,
      delimiter: fields.delimiter,
    },
    deletionThreshold: { percent: fields.percent, minimum: fields.minimum },
  };
}

interface SourceFormProps {
  fields: SourceFields;
  onChange: (fields: SourceFields) => void;
  disabled?: boolean;
}

export function SourceForm({ fields, onChange, disabled = false }: SourceFormProps) {
  const change = (changes: Partial<SourceFields>) => onChange({ ...fields, ...changes });
  const text = (key: 'name' | 'accountId' | 'displayName' | 'multiValueSeparator' | 'delimiter') => ({
    value: fields[key],
    disabled,
    onChange: (event: React.ChangeEvent<HTMLInputElement>) => change({ [key]: event.currentTarget.value }),
  });
  const number = (key: 'percent' | 'minimum') => ({
    value: fields[key],
    disabled,
    min: 0,
    onChange: (value: string | number) => change({ [key]: Number(value) || 0 }),
  });
  return (
    <Stack>
      <TextInput label="Name" required {...text('name')} data-autofocus />
      <Textarea
        label="Description"
        autosize
        value={fields.description}
        disabled={disabled}
        onChange={(event) => change({ description: event.currentTarget.value })}
      />
      <TextInput
        label="Column of the account id"
        description="Tells the accounts apart"
        required
        {...text('accountId')}
      />
      <TextInput label="Column of the name" description="Without it, the id is the name" {...text('displayName')} />
      <TagsInput
        label="Columns that hold entitlements"
        value={fields.entitlements}
        disabled={disabled}
        onChange={(entitlements) => change({ entitlements })}
        clearable
        clearButtonProps={{ 'aria-label': 'Remove all columns' }}
      />
      <Group grow align="flex-end">
        <TextInput label="Separator of cells" required maxLength={1} {...text('delimiter')} />
        <TextInput label="Separator of values in a cell" required maxLength={16} {...text('multiValueSeparator')} />
      </Group>
      <Group grow align="flex-end">
        <NumberInput label="Deletions that pass unasked, percent" max={100} {...number('percent')} />
        <NumberInput label="but at least" {...number('minimum')} />
      </Group>
    </Stack>
  );
}
