/**
 * Reloading: refused as a whole, taken over part by part, and what waits for a restart.
 */
import t from 'tap'
import { type Config, resolveConfig, type SettledConfig } from '../../src/agent/config.ts'
import { changedPaths, type Reloadable, Reloader } from '../../src/agent/reload.ts'
import { silentLog } from '../../src/base/log.ts'

const surroundings = { hostName: 'h', interfaces: [], workingDir: '/w' }
const resolve = (text: string) =>
  resolveConfig(
    { texts: [{ name: 'a.hcl', text, format: 'hcl' }], flags: [], isDev: false },
    surroundings,
  )

function configOf(text: string): Config {
  const result = resolve(text)
  if ('problems' in result) throw new Error(result.problems.join())
  return result.config
}

const NODE_ID = '0f3c7a52-1111-4222-8333-444455556666'

function setUp(parts: readonly Reloadable[]) {
  const files = { text: '' }
  const logged: string[] = []
  const note = (message: string, fields = {}): void => {
    logged.push([message, ...Object.values(fields)].join(': '))
  }
  const log = { ...silentLog, info: note, warn: note, error: note }
  const config: SettledConfig = { ...configOf(''), nodeId: NODE_ID }
  const reloader = new Reloader(config, parts, { load: async () => resolve(files.text), log })
  return { files, logged, reload: () => reloader.reload() }
}

t.test('each part gets what it takes; the rest waits, and is said again', async t => {
  const got: SettledConfig[] = []
  const levels: Reloadable = { takes: ['log.level'], apply: next => void got.push(next) }
  const headers: Reloadable = {
    takes: ['http.responseHeaders'],
    apply: () => void t.fail('nothing of it changed'),
  }
  const { files, logged, reload } = setUp([levels, headers])
  files.text = 'log_level = "debug"\nports { http = 1 }\ndomain = "else"'
  t.same(await reload(), [])
  t.match(got, [{ log: { level: 'debug' }, domain: 'consul', ports: { http: 8500 } }])
  t.match(logged, [
    'configuration reloaded: log.level',
    'settings that need a restart were not taken over: domain, ports.http',
  ])
  logged.length = 0
  t.same(await reload(), [])
  t.equal(got.length, 1, 'nothing that it takes changed again')
  t.match(logged, [
    'configuration reloaded: nothing',
    'settings that need a restart were not taken over: domain, ports.http',
  ])
})

t.test('what is wrong anywhere leaves everything as it was', async t => {
  const applied: string[] = []
  const taking: Reloadable = { takes: ['log.level'], apply: () => void applied.push('level') }
  const choosy: Reloadable = {
    takes: [],
    always: true,
    check: ({ domain }) => (domain === 'bad' ? 'bad domain' : undefined),
    apply: () => void applied.push('always'),
  }
  const { files, logged, reload } = setUp([taking, choosy])
  files.text = 'log_level = "debug"\nnonsense = 1'
  t.match(await reload(), [/a\.hcl:2: unknown key "nonsense"/])
  files.text = 'log_level = "debug"\ndomain = "bad"'
  t.same(await reload(), ['bad domain'])
  t.same(applied, [])
  t.match(logged, [/^reload refused: a\.hcl:2/, 'reload refused: bad domain'])
  files.text = 'log_level = "debug"'
  t.same(await reload(), [])
  t.same(applied, ['level', 'always'])
})

t.test('a part that fails is told, and the next reload goes on', async t => {
  let fails = true
  const part: Reloadable = {
    takes: [],
    always: true,
    async apply() {
      if (fails) throw new Error('the disk is full')
    },
  }
  const { reload } = setUp([part])
  t.same(await reload(), ['the disk is full'])
  fails = false
  t.same(await reload(), [])
})

t.test('reloads come one after the other', async t => {
  let running = 0
  const part: Reloadable = {
    takes: [],
    always: true,
    async apply() {
      running++
      t.equal(running, 1)
      await new Promise(resolve => setImmediate(resolve))
      running--
    },
  }
  const { reload } = setUp([part])
  await Promise.all([reload(), reload(), reload()])
})

t.test('changes are named as deep as both have stanzas', async t => {
  t.same(changedPaths({ a: { b: 1, c: [1] } }, { a: { b: 1, c: [2], d: 0 }, e: {} }), [
    ['a', 'c'],
    ['a', 'd'],
    ['e'],
  ])
  t.same(changedPaths({ a: 1 }, { a: 1 }), [])
})
