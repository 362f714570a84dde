import { Button, Group, Modal, Stack } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, bodyOf } from '../api/client';
import { Problem } from '../ui/Problem';
import { emptySource, SourceForm, sourceOf } from './SourceForm';

export function CreateSourceDialog({ onClose }: { onClose: () => void }) {
  const [fields, setFields] = useState(emptySource);
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const create = useMutation({
    mutationFn: () => bodyOf(api.POST('/stint/v1/sources', { body: sourceOf(fields) })),
    onSuccess: async (source) => {
      await queryClient.invalidateQueries({ queryKey: ['sources'] });
      await navigate({ to: '/sources/$id', params: { id: source.id } });
    },
  });
  return (
    <Modal opened onClose={onClose} title="Create a source" size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <Stack>
          <SourceForm fields={fields} onChange={setFields} />
          {create.isError && <Problem error={create.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Leave it
            </Button>
            <Button type="submit" loading={create.isPending}>
              Create
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
