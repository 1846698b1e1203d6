// Compiles main.mbt to moonbit.wasm for WebAssembly's garbage collector: `npm install --no-save
// @moonbit/moonpad-monaco@0.1.202602255 && node --stack-size=4000 recipe.cjs` (node 20 or newer).
//
// That package (Apache-2.0) has MoonBit's compiler as JavaScript and the sources of its standard library, but the library
// compiled for JavaScript only. So the two packages of it that the program needs are compiled first.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const dist = path.resolve('node_modules/@moonbit/moonpad-monaco/dist');

// The compiler offers itself to whoever made the worker; here it is wanted in this very program.
globalThis.require = require;
const worker = fs.readFileSync(path.join(dist, 'moonc-worker.js'), 'utf8');
const offered = worker.replace('LZ0(Fhx);', 'globalThis.moonc = Fhx;');
if (offered === worker) throw new Error('not the version that this recipe is for');
(0, eval)(offered);
const moonc = globalThis.moonc.default || globalThis.moonc;

// The sources stand in the editor's script: variables of base64, and a table from paths to variables.
const editor = fs.readFileSync(path.join(dist, 'moonpad-monaco.js'), 'utf8');
const encoded = new Map(Array.from(editor.matchAll(/([\w$]+) = d\("([A-Za-z0-9+/=]*)"\)/g), (m) => [m[1], m[2]]));
const decode = (name) => Buffer.from(encoded.get(name), 'base64').toString('utf8');
const variables = new Map(Array.from(editor.matchAll(/i\["(\/lib\/core\/[^"]+)"\] = ([\w$]+)/g), (m) => [m[1], m[2]]));
const root = 'moonbit-core:/lib/core';
const { packages } = JSON.parse(decode(variables.get('/lib/core/_build/packages.json')));

const common = { target: 'wasm-gc', errorFormat: 'human', enableValueTracing: false, noOpt: false };
const sources = [`moonbitlang/core:${root}`];

/** Calls the compiler for one package; complains and ends if it does. */
function compile(what) {
  const result = moonc.buildPackage({ ...common, ...what });
  if (!result.core) {
    console.error(result.diagnostics.join('\n'));
    process.exit(1);
  }
  return result;
}

const interfaceName = (name) => `${root}/_build/wasm-gc/${name}/${name}.mi`;
function corePackage(name, mbtFiles, dependencies) {
  return compile({
    mbtFiles,
    miFiles: dependencies.map(([dependency, { mi }]) => [`${interfaceName(dependency)}:${dependency}`, mi]),
    indirectImportMiFiles: [],
    stdMiFiles: [],
    pkg: `moonbitlang/core/${name}`,
    pkgSources: sources,
    isMain: false,
  });
}

/** The files of a package for this target; of two that tell debug from release builds, the latter. */
function filesOf(name) {
  const { files } = packages.find(({ rel }) => rel === name);
  const wanted = Object.keys(files).filter((file) => files[file].backend.includes('WasmGC') && !file.endsWith('_debug.mbt'));
  return wanted.map((file) => [file, withoutTests(decode(variables.get(file.slice('moonbit-core:'.length))))]);
}

/** Without the tests that stand between the functions: they use packages that are not here. */
function withoutTests(text) {
  const isTest = (block) => {
    const first = block.split('\n').find((line) => !/^\s*(\/\/|#|$)/.test(line)) ?? '';
    return /^(async )?test\b/.test(first);
  };
  return text.split(/^(?=\/\/\/\|)/m).filter((block) => !isTest(block)).join('');
}

const abort = corePackage('abort', filesOf('abort'), []);
const builtin = corePackage('builtin', filesOf('builtin'), [['abort', abort]]);
// Instead of the library's own, which brings JSON, big integers and sets: what every file sees without importing it.
const prelude = corePackage('prelude', [[`${root}/prelude/prelude.mbt`, `
pub using @builtin {
  abort, ignore, panic, physical_equal, println,
  trait Eq, trait Compare, trait Hash, trait Logger, trait Show, trait Default, trait Add, trait Sub, trait Mul,
  type Array, type ArrayView, type Hasher, type Iter, type Map, type StringBuilder,
}
`]], [['builtin', builtin]]);

const library = { abort, builtin, prelude };
const main = compile({
  mbtFiles: [['app:/main.mbt', fs.readFileSync(path.join(__dirname, 'main.mbt'), 'utf8')]],
  miFiles: [],
  indirectImportMiFiles: [],
  stdMiFiles: Object.entries(library).map(([name, { mi }]) => [`${root}/_build/wasm-gc/release/bundle/${name}/${name}.mi`, mi]),
  pkg: 'app/main',
  pkgSources: ['app/main:app:/'],
  isMain: true,
});
const { result } = moonc.linkCore({
  coreFiles: [...Object.values(library), main].map(({ core }) => core),
  main: 'app/main',
  pkgSources: [...sources, 'app/main:app:/'],
  target: 'wasm-gc',
  exportedFunctions: [],
  outputFormat: 'wasm',
  testMode: false,
  debug: false,
  noOpt: false,
  sourceMap: false,
  sources: {},
  stopOnMain: false,
});
fs.writeFileSync(path.join(__dirname, 'moonbit.wasm'), result);
