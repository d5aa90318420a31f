/**
 * The form of our files: types, format and lint by their own programs; line length, header
 * comments, doc comments and leftovers here.
 */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { everyTextFile, linesOf, none, root, sourcesOf, textOf } from './source.ts'

const LINE_CHARS = 100

const all = sourcesOf('src', 'test', 'bench', 'examples')
const product = all.filter(source => source.path.startsWith('src/'))

t.test('types: tsc', async t => {
  none(t, complaintsOf('tsc', '-p', '.'))
})

t.test('format and lint: biome', async t => {
  none(t, complaintsOf('biome', 'ci', '--reporter=github', '--error-on-warnings'))
})

t.test(`lines of at most ${LINE_CHARS} characters, but for texts that stand alone`, async t => {
  for (const source of all) {
    const code = source.code.split('\n')
    const isText = (line: string, at: number) =>
      /^\s*['"`]/.test(line) ||
      // A pattern that answers or outputs of others are held against, alone on its line.
      /^\s*\/[^/*].*\/[a-z]*,$/.test(line) ||
      (!/^\s*(\/|\*)/.test(line) && code[at]?.slice(LINE_CHARS).trim() === '')
    const lines = source.text.split('\n')
    const long = lines.flatMap((line, at) =>
      [...line].length > LINE_CHARS && !isText(line, at) ? [`${source.path}:${at + 1}`] : [],
    )
    none(t, long)
  }
})

t.test('every file says in its first lines what it owns', async t => {
  const header = /^(#!.*\n)?\/\*\*\n( \*.*\n){2,12} \*\/\n/
  const wrong = product.filter(source => !header.test(source.text))
  none(t, pathsOf(wrong))
})

t.test('every exported function has a doc comment', async t => {
  for (const { path, exports } of product) {
    const bare = exports.filter(one => one.isFunction && !one.isDocumented)
    none(
      t,
      bare.map(one => `${path}: ${one.name}`),
    )
  }
})

t.test('no leftovers', async t => {
  const words = /\b(TODO|FIXME|XXX|HACK|[Nn]ot implemented|[Uu]nimplemented)\b/g
  const calls = /\bt\w*\.(only|skip|todo)\(|\bdebugger\b|\b(skip|only|todo): true\b/g
  for (const source of all.filter(({ path }) => path !== 'test/tidy/form.test.ts')) {
    none(t, linesOf(source, source.text, words))
    none(t, linesOf(source, source.code, calls))
  }
})

t.test('nothing names a host of a package registry or a folder of one machine', async t => {
  // In pieces, so that this file does not find itself.
  const hosts = ['registry[.]npm', 'registry[.]yarn', 'npm', 'pypi[.]org'].join('|')
  const folders = ['root', 'work', 'home/\\w+', 'Users/\\w+'].join('|')
  const pattern = new RegExp(`https?://(${hosts})|(^|[\\s'"\`(])/(${folders})/`, 'm')
  none(
    t,
    everyTextFile().filter(file => pattern.test(textOf(file))),
  )
})

function pathsOf(sources: { path: string }[]): string[] {
  return sources.map(source => source.path)
}

/** What a program of ours prints when it finds something wrong, in lines. */
function complaintsOf(command: string, ...words: string[]): string[] {
  const result = spawnSync(`node_modules/.bin/${command}`, words, { cwd: root, encoding: 'utf8' })
  if (result.status === 0) return []
  const lines = `${result.stdout}${result.error ?? ''}`.split('\n').filter(line => line !== '')
  return lines.map(line =>
    line.replaceAll(`${root}/`, '').replace(/^::.*?,file=(.*?),line=(\d+).*?::/, '$1:$2 '),
  )
}
