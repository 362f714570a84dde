import { Button, Checkbox, FileInput, Group, Modal, NumberInput, Progress, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { Source } from '../api/types';
import { Problem } from '../ui/Problem';
import { aggregate } from './upload';

export interface AggregateStart {
  kind: 'accounts' | 'entitlements';
  allowDeletions: number;
}

interface AggregateDialogProps {
  source: Source;
  start: AggregateStart;
  onClose: () => void;
}

/** Uploads a file of a source; what becomes of it shows on the page of the source. */
export function AggregateDialog({ source, start, onClose }: AggregateDialogProps) {
  const [file, setFile] = useState<File | null>(null);
  const [everything, setEverything] = useState(false);
  const [allowDeletions, setAllowDeletions] = useState(start.allowDeletions);
  const [sent, setSent] = useState(0);
  const queryClient = useQueryClient();
  const upload = useMutation({
    mutationFn: (chosen: File) =>
      aggregate(
        { sourceId: source.id, kind: start.kind, file: chosen, disableOptimization: everything, allowDeletions },
        setSent,
      ),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['tasks'] });
      onClose();
    },
  });
  const { percent, minimum } = source.deletionThreshold;
  return (
    <Modal opened onClose={onClose} title={`Aggregate ${start.kind} of ${source.name}`} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (file !== null) upload.mutate(file);
        }}
      >
        <Stack>
          <Text size="sm">
            The file replaces what is stored: rows that are new or changed are taken over, and {start.kind} that it does
            not hold are deleted.
          </Text>
          <FileInput
            label="File"
            description={`A delimited file with a header, its cells separated by "${source.connectorAttributes.delimiter}"`}
            placeholder="Choose a file"
            required
            value={file}
            onChange={setFile}
            accept=".csv,.tsv,.txt,text/csv,text/plain"
          />
          <NumberInput
            label="Let so many deletions pass"
            description={`Otherwise ${percent} % of what is stored, but at least ${minimum}; where a file would delete more, nothing is deleted`}
            min={0}
            value={allowDeletions}
            onChange={(value) => setAllowDeletions(Number(value) || 0)}
          />
          <Checkbox
            label="Process what has not changed, too"
            checked={everything}
            onChange={(event) => setEverything(event.currentTarget.checked)}
          />
          {upload.isPending && <Progress value={sent * 100} aria-label="Uploaded so far" animated />}
          {upload.isError && <Problem title="The file was not accepted" error={upload.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Leave it
            </Button>
            <Button type="submit" disabled={file === null} loading={upload.isPending}>
              Upload and aggregate
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
