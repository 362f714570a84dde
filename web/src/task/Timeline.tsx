import { Group, Paper, Text, Title } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { AxisBottom } from '@visx/axis';
import { scaleTime, scaleUtc } from '@visx/scale';
import type { TaskWithHistory } from '../api/types';
import { useTimeZone } from '../settings/settings';
import { formatDuration, formatTick } from '../time/format';
import { useNow } from '../time/useNow';
import { lookNames, lookOf, LookShape } from '../ui/status';
import classes from './Timeline.module.css';
import { lifeOf, type Phase } from './timeline';

const top = 8;
const barHeight = 22;
const axisTop = top + barHeight + 8;
const height = axisTop + 28;
const margin = 14;

/** The life of a task, drawn to scale: how long it waited, its attempts, its end. */
export function Timeline({ task }: { task: TaskWithHistory }) {
  const now = useNow(1_000);
  const [zone] = useTimeZone();
  const { ref, width } = useElementSize();
  const life = lifeOf(task, now);
  const scale = (zone === 'utc' ? scaleUtc : scaleTime)({
    domain: [life.from, life.to],
    range: [margin, Math.max(width - margin, margin + 1)],
  });
  const x = (time: number) => scale(new Date(time));
  const look = lookOf(task);
  return (
    <section aria-label="Timeline">
      <Group justify="space-between" mb="xs">
        <Title order={2} size="h4">
          Timeline
        </Title>
        <Text size="sm" c="dimmed">
          {life.phases.map((phase) => `${phase.label}: ${formatDuration(phase.to - phase.from)}`).join(' · ')}
        </Text>
      </Group>
      <Paper withBorder py="xs" ref={ref}>
        <svg width={width} height={height} role="img" aria-label={describe(life.phases)} className={classes.timeline}>
          {life.phases.map((phase) => (
            <rect
              key={`${phase.kind}${phase.from}`}
              x={x(phase.from)}
              y={top}
              width={Math.max(x(phase.to) - x(phase.from), 1)}
              height={barHeight}
              className={classes[phase.kind]}
            >
              <title>{`${phase.label}: ${formatDuration(phase.to - phase.from)}`}</title>
            </rect>
          ))}
          {task.completed === null && task.percentComplete > 0 && (
            <Done phases={life.phases} percent={task.percentComplete} x={x} />
          )}
          {life.moments.map((moment) => (
            <line
              key={`${moment.label}${moment.at}`}
              x1={x(moment.at)}
              x2={x(moment.at)}
              y1={top - 4}
              y2={top + barHeight + 4}
              className={classes.moment}
            >
              <title>{moment.label}</title>
            </line>
          ))}
          {task.completed !== null && (
            <g transform={`translate(${x(life.to) - 8} ${top + barHeight / 2 - 8})`}>
              <title>{lookNames[look]}</title>
              <circle cx="8" cy="8" r="11" className={classes.halo} />
              <LookShape look={look} />
            </g>
          )}
          <AxisBottom
            top={axisTop}
            scale={scale}
            tickFormat={(time) => formatTick(time as Date, life.to - life.from, zone)}
            numTicks={Math.max(2, Math.floor(width / 140))}
            axisLineClassName={classes.axis ?? ''}
            tickLineProps={{ className: classes.axis ?? '' }}
            tickLabelProps={{ className: classes.tick ?? '', textAnchor: 'middle' }}
          />
        </svg>
      </Paper>
    </section>
  );
}

/** How much of the work of the last attempt is done. */
function Done({ phases, percent, x }: { phases: Phase[]; percent: number; x: (time: number) => number }) {
  const last = phases.at(-1);
  if (last?.kind !== 'attempt') return null;
  const width = ((x(last.to) - x(last.from)) * percent) / 100;
  return (
    <rect x={x(last.from)} y={top + barHeight - 5} width={Math.max(width, 0)} height={5} className={classes.done} />
  );
}

function describe(phases: Phase[]): string {
  return phases.map((phase) => `${phase.label}: ${formatDuration(phase.to - phase.from)}`).join(', ');
}
