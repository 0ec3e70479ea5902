// Pure: the languages that are coloured, and what else they are called. Each is a file in static/vendor/highlight/languages.

const NAMES = {
  bash: 'sh shell zsh console shell-session',
  c: 'h',
  clojure: 'clj',
  cmake: '',
  cpp: 'c++ cc hpp cxx',
  csharp: 'cs c#',
  css: '',
  dart: '',
  diff: 'patch',
  dockerfile: 'docker',
  elixir: 'ex exs',
  erlang: 'erl',
  go: 'golang',
  graphql: 'gql',
  groovy: '',
  haskell: 'hs',
  http: '',
  ini: 'toml conf',
  java: '',
  javascript: 'js jsx mjs cjs',
  json: 'jsonc json5',
  julia: 'jl',
  kotlin: 'kt kts',
  latex: 'tex',
  less: '',
  lisp: '',
  lua: '',
  makefile: 'make mk',
  markdown: 'md',
  matlab: '',
  nginx: '',
  nix: '',
  objectivec: 'objc objective-c',
  ocaml: 'ml',
  perl: 'pl',
  pgsql: 'postgres postgresql',
  php: '',
  powershell: 'ps1 pwsh',
  properties: '',
  protobuf: 'proto',
  python: 'py python3',
  r: '',
  ruby: 'rb',
  rust: 'rs',
  scala: '',
  scss: '',
  sql: 'sqlite mysql',
  swift: '',
  typescript: 'ts tsx',
  vim: '',
  wasm: '',
  x86asm: 'asm nasm',
  xml: 'html xhtml svg vue',
  yaml: 'yml',
};

export const LANGUAGES = Object.keys(NAMES);

const FILES = new Map(
  Object.entries(NAMES).flatMap(([file, names]) => [file, ...names.split(' ')].map((name) => [name, file])),
);

/** Give the file of a language, or undefined. */
export function languageOf(name) {
  return name ? FILES.get(name.toLowerCase()) : undefined;
}
