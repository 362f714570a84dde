import { createTheme, type CSSVariablesResolver } from '@mantine/core';

export const theme = createTheme({
  primaryColor: 'cyan',
  primaryShade: 9,
  defaultRadius: 'sm',
  cursorType: 'pointer',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif',
  headings: { fontWeight: '600' },
  components: {
    Anchor: { defaultProps: { underline: 'hover' } },
    Tooltip: { defaultProps: { openDelay: 300 } },
  },
});

/** Text on white that is light enough to be coloured and dark enough to be read (WCAG 2.1, 1.4.3). */
const readable: Record<string, string> = {
  green: '#1e6b2e',
  yellow: '#7a4a00',
  orange: '#a03a06',
  red: '#b42323',
  blue: '#14599c',
  gray: '#495057',
};

export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#5c636a',
    '--mantine-color-placeholder': '#6c737a',
    '--mantine-color-error': '#b42323',
    ...Object.fromEntries(
      Object.entries(readable).map(([name, color]) => [`--mantine-color-${name}-light-color`, color]),
    ),
  },
  dark: { '--mantine-color-dimmed': '#a6a7ab', '--mantine-color-placeholder': '#8f9196' },
});
