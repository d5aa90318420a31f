/**
 * Imports go down only: the table of layers, who may open the store's engines, and the one
 * file that may import each package that does I/O.
 */
import t from 'tap'
import { none, type Source, sourcesOf, textOf } from './source.ts'

/** The folders of src from the ground up. Folders of one layer do not import each other. */
const layers: readonly (readonly string[])[] = [
  ['base'],
  // The client package is for other programs: of ours it may have the base alone.
  ['x509', 'hcl', 'filter', 'wire', 'client'],
  ['store'],
  ['identity', 'registry', 'checks', 'secrets', 'mesh', 'feed', 'audit', 'cluster'],
  ['http', 'grpc', 'rpc', 'dns', 'xds', 'ui'],
  ['agent'],
  ['cli'],
  ['main.ts'],
]

/** Engines are for the composition root; everyone else knows the port alone. */
const engines = /^src\/store\/(level|etcd|memory)\//

/** Packages that compute and do no I/O: any file may import them. */
const pure = [
  '@bufbuild/cel',
  '@bufbuild/protobuf',
  'commander',
  'jose',
  'node-forge',
  'qr',
  'sorted-btree',
  'tar-stream',
]

/** Runs the program; never imported. */
const unimported = ['node']

const sources = sourcesOf('src')

t.test('every folder stands in the table of layers', async t => {
  for (const { path: file } of sources) t.ok(layerOf(file) >= 0, file)
})

t.test('imports go down, and stay out of folders of the same layer', async t => {
  none(t, sources.flatMap(upward))
})

t.test('engines are opened by the agent alone', async t => {
  const wrong = sources.flatMap(source =>
    edges(source)
      .filter(to => {
        return engines.test(to) && !['store', 'agent'].includes(folderOf(source.path))
      })
      .map(to => `${source.path} imports ${to}`),
  )
  none(t, wrong)
})

t.test('a package that does I/O is imported by one file of src/base/io', async t => {
  const importers = new Map<string, Set<string>>()
  for (const source of sources) {
    for (const name of packagesOf(source).filter(one => !pure.includes(one))) {
      importers.set(name, (importers.get(name) ?? new Set()).add(source.path))
    }
  }
  for (const [name, files] of importers) {
    t.match([...files], [/^src\/base\/io\//], name)
    t.equal(files.size, 1, `${name} is imported by ${[...files].join(' and ')}`)
  }
})

t.test('every dependency is used, and everything used is a dependency', async t => {
  const declared = new Set(Object.keys(JSON.parse(textOf('package.json')).dependencies))
  const used = new Set([...sources.flatMap(packagesOf), ...unimported])
  none(
    t,
    [...declared].filter(name => !used.has(name)),
  )
  none(
    t,
    [...used].filter(name => !declared.has(name)),
  )
})

function upward(source: Source): string[] {
  const from = folderOf(source.path)
  return edges(source)
    .filter(to => folderOf(to) !== from && layerOf(to) >= layerOf(source.path))
    .map(to => `${source.path} imports ${to}`)
}

function edges(source: Source): string[] {
  return source.imports.flatMap(({ file }) => (file?.startsWith('src/') ? [file] : []))
}

/** `src/store/level/log.ts` stands in `store`. */
function folderOf(file: string): string {
  return file.split('/')[1] ?? ''
}

function layerOf(file: string): number {
  return layers.findIndex(folders => folders.includes(folderOf(file)))
}

/** `@grpc/grpc-js` and `level/sub` count as `@grpc/grpc-js` and `level`. */
function packagesOf(source: Source): string[] {
  return source.imports
    .map(({ from }) => from)
    .filter(from => !from.startsWith('.') && !from.startsWith('node:'))
    .map(from =>
      from
        .split('/')
        .slice(0, from.startsWith('@') ? 2 : 1)
        .join('/'),
    )
}
