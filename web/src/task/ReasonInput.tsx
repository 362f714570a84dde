import { Textarea } from '@mantine/core';

interface ReasonInputProps {
  value: string;
  onChange: (value: string) => void;
}

/** Why somebody does what cannot be undone. */
export function ReasonInput({ value, onChange }: ReasonInputProps) {
  return (
    <Textarea
      label="Reason"
      description="Kept in the history and the audit"
      required
      maxLength={1024}
      autosize
      minRows={2}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      data-autofocus
    />
  );
}
