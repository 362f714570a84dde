import { Button, Group, Menu, Modal, Progress, Stack, Text } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useRef, useState } from 'react';
import type { TaskSort } from '../api/types';
import { Problem } from '../ui/Problem';
import { save } from '../ui/save';
import { exportTasks, type ExportFormat } from './export';

interface ExportMenuProps {
  filters: string;
  sorters: TaskSort;
  total: number | null;
}

/** Takes along all that match, not only the page that is shown. */
export function ExportMenu({ filters, sorters, total }: ExportMenuProps) {
  const [done, setDone] = useState<number | null>(null);
  const [error, setError] = useState<unknown>(null);
  const running = useRef<AbortController | null>(null);

  const run = async (format: ExportFormat) => {
    const controller = new AbortController();
    running.current = controller;
    setError(null);
    setDone(0);
    try {
      const file = await exportTasks({ filters, sorters, format, signal: controller.signal, onProgress: setDone });
      save(file, `tasks.${format}`);
      setDone(null);
    } catch (failure) {
      if (controller.signal.aborted) setDone(null);
      else setError(failure);
    }
  };
  const close = () => {
    running.current?.abort();
    setDone(null);
    setError(null);
  };
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" size="xs" leftSection={<IconDownload size={14} aria-hidden />}>
            Export
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>All {total?.toLocaleString('en') ?? ''} that match</Menu.Label>
          <Menu.Item onClick={() => void run('csv')}>CSV, for spreadsheets</Menu.Item>
          <Menu.Item onClick={() => void run('ndjson')}>NDJSON, for programs</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={done !== null} onClose={close} title="Export">
        <Stack>
          {error !== null && <Problem title="The export broke off" error={error} />}
          <Text size="sm" className="tabular" role="status">
            {(done ?? 0).toLocaleString('en')} of {total?.toLocaleString('en') ?? '…'} tasks
          </Text>
          <Progress
            value={((done ?? 0) / Math.max(total ?? 1, 1)) * 100}
            aria-label="Exported so far"
            animated={error === null}
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              {error === null ? 'Stop' : 'Close'}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
