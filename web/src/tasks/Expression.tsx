import { Button, Group, Stack, Text, Textarea } from '@mantine/core';
import { useState } from 'react';

interface ExpressionProps {
  filters: string;
  error: string | null;
  onApply: (filters: string) => void;
}

/** The filter as the API takes it, to read, to copy and to change. */
export function Expression({ filters, error, onApply }: ExpressionProps) {
  const [text, setText] = useState(filters);
  const apply = () => onApply(text.trim());
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        apply();
      }}
    >
      <Stack gap={6}>
        <Textarea
          label="Filter expression"
          description={
            <>
              As the API takes it, like{' '}
              <code>completionStatus in (&quot;ERROR&quot;,&quot;TEMPERROR&quot;) and durationMs gt 60000</code>
            </>
          }
          error={error}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.shiftKey) {
              event.preventDefault();
              apply();
            }
          }}
          autosize
          minRows={1}
          maxRows={6}
          spellCheck={false}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.8rem' } }}
        />
        <Group gap="sm">
          <Button size="xs" type="submit" disabled={text.trim() === filters}>
            Apply
          </Button>
          <Text size="xs" c="dimmed">
            Fields: id, type, uniqueName, description, completionStatus, sourceId, target.id, target.name, launcher,
            created, launched, completed, modified, percentComplete, durationMs.
          </Text>
        </Group>
      </Stack>
    </form>
  );
}
