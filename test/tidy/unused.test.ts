/**
 * Nothing lies around: files and exports that nobody imports, tests without a place, stages
 * without tests.
 */
import t from 'tap'
import { stageOf, stages } from '../stages.ts'
import { filesOf, none, type Source, sourcesOf, textOf } from './source.ts'

/** Started by their path, not imported. */
const entries = new RegExp(
  [
    '^src/main.ts$|^src/client/mod.ts$|^src/checks/program-child.run.ts$|^src/base/io/thread.ts$|^src/dns/thread.ts$',
    '[.](test|bench)[.]ts$',
    '^test/run/main.ts$|^test/run/fixtures/|^test/machines/next.ts$',
    '^test/tidy/write.ts$|^test/sim/main.ts$|^bench/run.ts$|/vectors/make.ts$',
  ].join('|'),
)

const all = sourcesOf('src', 'test', 'bench')
const used = usedNames(all)

t.test('every file is imported by another or is an entry point', async t => {
  const dead = all.filter(({ path: file }) => !used.has(file) && !entries.test(file))
  none(
    t,
    dead.map(source => source.path),
  )
})

t.test('every exported name is imported somewhere', async t => {
  const dead = all
    .filter(source => !entries.test(source.path))
    .flatMap(source =>
      source.exports.filter(e => !isUsed(source, e)).map(e => `${source.path}: ${e.name}`),
    )
  none(t, dead)
})

t.test('every limit is held somewhere', async t => {
  const names = [...textOf('src/base/limits.ts').matchAll(/^ {2}(\w+): /gm)].map(m => m[1] ?? '')
  const product = all.filter(source => source.path.startsWith('src/')).map(source => source.code)
  none(
    t,
    names.filter(name => !product.some(code => code.includes(`limits.${name}`))),
  )
})

t.test('every test stands in a stage, and every stage has tests', async t => {
  const files = filesOf('test/**/*.test.ts')
  none(
    t,
    files.filter(file => stageOf(file) === undefined),
  )
  const empty = stages.filter(stage => !files.some(file => stageOf(file) === stage))
  none(
    t,
    empty.map(stage => stage.name),
  )
  const begun = stages.flatMap(stage =>
    [...(stage.first ?? []), ...(stage.alone ?? [])].map(file => ({ file, stage })),
  )
  none(
    t,
    begun
      .filter(({ file, stage }) => !files.includes(file) || stageOf(file) !== stage)
      .map(({ file }) => file),
  )
})

t.test('a test of a folder of src mirrors a file or folder there', async t => {
  const product = new Set(filesOf('src/**'))
  const wrong = filesOf('test/**/*.test.ts').filter(file => {
    const folder = file.split('/')[1] ?? ''
    if (folder === 'cli' || !product.has(`src/${folder}`)) return false
    // test/store/etcd/engine.crash.test.ts looks at src/store/etcd/engine.ts from one side.
    const mirrored = file.replace(/^test\//, 'src/').replace(/\.test\.ts$/, '')
    const bare = mirrored.replace(/\.[^/]*$/, '')
    return ![`${mirrored}.ts`, mirrored, `${bare}.ts`, bare].some(one => product.has(one))
  })
  none(t, wrong)
})

/** They start the whole agent: the tests of its process do that. */
const wiring = /^src\/(main|agent\/(compose|lifecycle|running))\.ts$/

t.test('every file of src is reached from the tests of its folder', async t => {
  const reached = new Set<string>()
  const reach = (file: string, folder: string): void => {
    if (!file.startsWith(folder) || reached.has(file)) return
    reached.add(file)
    const { imports = [] } = all.find(source => source.path === file) ?? {}
    for (const one of imports) reach(one.file ?? '', folder)
  }
  for (const { path: file, imports } of all.filter(source => source.path.startsWith('test/'))) {
    for (const one of imports) reach(one.file ?? '', `src/${file.split('/')[1]}/`)
  }
  const product = all.map(source => source.path).filter(file => file.startsWith('src/'))
  none(
    t,
    product.filter(file => !reached.has(file) && !wiring.test(file)),
  )
})

function usedNames(sources: Source[]): Map<string, Set<string>> {
  const names = new Map<string, Set<string>>()
  for (const { file, names: taken } of sources.flatMap(source => source.imports)) {
    if (file === undefined) continue
    names.set(file, new Set([...(names.get(file) ?? []), ...taken]))
  }
  return names
}

/** A type may also serve the file's own exported signatures. */
function isUsed(source: Source, { name, isType }: { name: string; isType: boolean }): boolean {
  const taken = used.get(source.path)
  if (taken?.has(name) || taken?.has('*') || taken?.has('default')) return true
  return isType && (source.text.match(new RegExp(`\\b${name}\\b`, 'g'))?.length ?? 0) > 1
}
