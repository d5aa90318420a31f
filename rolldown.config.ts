/**
 * Joins the sources into few files of JavaScript: each module that Node loads costs memory, whatever
 * it does (docs/decisions/0050). `build.sh` says where they go.
 *
 * What is loaded when it is needed, and not before, stays a file by itself. Packages stay what they
 * are, in node_modules.
 */
import type { RolldownOptions } from 'rolldown'

/** What is started by its path (src/base/places.ts), and where it lies. */
const started = [
  'main',
  'base/io/thread',
  'base/io/cipher-thread',
  'checks/program-child.run',
  'dns/thread',
]

// The client is for other programs, which have no use for the rest: a file of its own.
export default [started, ['client/mod']].map(
  (names): RolldownOptions => ({
    input: Object.fromEntries(names.map(name => [name, `src/${name}.ts`])),
    platform: 'node',
    external: name => !/^[./]/.test(name),
    // What runs is what the sources say: none of it is left out or said in another way.
    treeshake: false,
    transform: { target: 'es2025' },
    output: {
      format: 'esm',
      comments: false,
      minify: false,
      entryFileNames: '[name].js',
      chunkFileNames: 'part/[name].js',
      minifyInternalExports: false,
      plugins: [{ name: 'one byte a character', renderChunk: escaped }],
    },
  }),
)

/** V8 keeps a text with a single character beyond Latin-1 in two bytes for each. */
function escaped(code: string): string {
  // Behind a backslash, or as it was written, such a one would come to something else.
  const odd = /\\[^\0-\xff]|String\.raw`[^`]*[^\0-\xff]/.exec(code)
  if (odd !== null) throw new Error(`cannot be escaped: ${odd[0]}`)
  return code.replace(
    /[^\0-\xff]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
