/** What a task may be told, and by whom. */
import t from 'tap'
import type { SettingsFrom } from '../../../src/feed/sink/schema.ts'
import { readTask } from '../../../src/feed/sink/task-definition.ts'
import { FakeTarget, fakeKind, taskOf } from './fakes.ts'

const kind = fakeKind(new FakeTarget())
const local = { ...kind, kind: 'writer', isLocal: true }

const problemsOf = (given: object, from: SettingsFrom = 'local', name = 'web'): string[] => {
  const read = readTask(name, { ...given }, from, [kind, local])
  return 'problems' in read ? read.problems.map(one => `${one.field}: ${one.problem}`) : []
}

const right = { kind: 'fake', services: ['web'] }

t.test('defaults', async t => {
  t.match(taskOf(kind, { services: ['web'] }), {
    name: 'web',
    isEnabled: true,
    condition: 'any',
    schedule: undefined,
    pace: { bufferMinMs: 200, bufferMaxMs: 2_000, retryMinMs: 1_000, retryMaxMs: 60_000 },
    timeoutMs: 30_000,
    settings: { place: 'here' },
  })
})

const mistakes: readonly [given: object, ...problems: RegExp[]][] = [
  [{}, /kind: is missing/],
  [{ ...right, kind: 'constructor' }, /kind: must be one of fake, writer/],
  [{ kind: 'fake' }, /follows neither/],
  [{ ...right, sevices: [] }, /sevices: unknown setting/],
  [{ ...right, services: ['a', 'a'] }, /each name stands once/],
  [{ ...right, services: Array.from({ length: 101 }, (_, i) => `s${i}`) }, /more than 100/],
  [{ ...right, kv: Array.from({ length: 21 }, (_, i) => `s${i}`) }, /more than 20/],
  [{ ...right, condition: 'kv' }, /condition: it follows no keys/],
  [{ kind: 'fake', kv: ['a'], condition: 'services' }, /condition: it follows no services/],
  [{ ...right, schedule: 'never' }, /schedule: must have five fields/],
  [{ ...right, buffer_min: '5s' }, /buffer_max: is shorter/],
  [{ ...right, retry_min: '5m' }, /retry_max: is shorter/],
  [{ ...right, timeout: 'soon' }, /timeout: must be a duration/],
  [{ ...right, settings: 7 }, /settings: must be a block/],
  [
    { ...right, settings: { color: 'red', place: 7 } },
    /settings.place: must/,
    /settings.color: unk/,
  ],
  [{ ...right, settings: { place: 'nowhere' } }, /settings: there is no such place/],
]

t.test('mistakes are told, all of them', async t => {
  for (const [given, ...expected] of mistakes) {
    const problems = problemsOf(given)
    t.equal(problems.length, expected.length, problems.join())
    for (const [at, one] of expected.entries()) t.match(problems[at], one)
  }
  for (const name of ['', '.a', 'a/b', 'a b', 'ä', 'x'.repeat(65)]) {
    t.match(problemsOf(right, 'local', name), [/name: must be 1 to 64/], name)
  }
})

t.test('class 34: a request names neither programs nor files of the machine', async t => {
  t.match(problemsOf({ ...right, kind: 'writer' }, 'api'), [/kind: writer writes files or runs/])
  const program = { ...right, settings: { program: ['/bin/sh'] } }
  t.match(problemsOf(program, 'api'), [/settings.program: only the configuration/])
  t.same(problemsOf(program), [])
})

t.test('secrets are not shown', async t => {
  const task = taskOf(kind, {
    services: ['web'],
    token: 'hidden-1',
    settings: { secret: 'hidden-2' },
  })
  t.equal(task.token, 'hidden-1')
  const shown = JSON.stringify(task.shown)
  t.notMatch(shown, /hidden-/)
  t.match(shown, /"token":"\(hidden\)".*"secret":"\(hidden\)"/)
  t.notMatch(JSON.stringify(taskOf(kind, { services: ['web'] }).shown), /hidden/)
})

t.test('the same words are the same definition', async t => {
  const words = (given: object) => taskOf(kind, { services: ['web'], ...given }).words
  t.equal(words({ timeout: '30s' }), words({}))
  t.not(words({ timeout: '31s' }), words({}))
})
