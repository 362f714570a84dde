import js from '@eslint/js';
import a11y from 'eslint-plugin-jsx-a11y';
import hooks from 'eslint-plugin-react-hooks';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig({ ignores: ['src/api/schema.d.ts'] }, js.configs.recommended, {
  files: ['**/*.ts', '**/*.tsx'],
  extends: [
    tseslint.configs.strictTypeChecked,
    tseslint.configs.stylisticTypeChecked,
    a11y.flatConfigs.strict,
    hooks.configs.flat['recommended-latest'],
  ],
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  rules: {
    '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    // TanStack Table is not made for the React compiler, which is not used here.
    'react-hooks/incompatible-library': 'off',
  },
});
