/**
 * What every kind of check that is run keeps to, whatever it asks: one report a run, a result for
 * whatever a definition says, nothing left open, no way around the guard; and what a check says
 * follows its target, at its interval, by a fake clock.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Timeouts } from '../../src/base/timeouts.ts'
import type { CheckKind, CheckResult, RunTools, StartRun } from '../../src/checks/define.ts'
import { targetGuard } from '../../src/checks/guard.ts'
import { checkKinds } from '../../src/checks/mod.ts'
import { CheckRunner } from '../../src/checks/runner.run.ts'
import type { CheckDefinition } from '../../src/store/tables/check.ts'
import type { LocalCheck } from '../../src/store/tables/local.ts'
import { knowing, once, programsHere, toolsWith, until } from '../checks/support.ts'
import { type KindTargets, targetsOf } from '../checks/targets.ts'
import { FakeClock } from '../fake/clock.ts'

type Run = Extract<CheckKind, { readonly run: StartRun }>
const kinds = checkKinds.filter((one): one is Run => one.run !== undefined)

t.test('every kind that is run has targets here', async t => {
  t.same(kinds.map(({ kind }) => kind).sort(), Object.keys(targetsOf).sort())
})

const toolsOf = ({ dockerHost = '', path = process.env.PATH ?? '' }: KindTargets): RunTools =>
  toolsWith({ dockerHost, programs: programsHere({ PATH: path }) })

/** What this process holds open that a run may have opened. */
const opened = (): number =>
  process
    .getActiveResourcesInfo()
    .filter(name => /TCP(Socket|Connect)Wrap|Process|UDP|Pipe(Connect)?Wrap/.test(name)).length

for (const { kind, run, schema } of kinds) {
  t.test(kind, async t => {
    const targets = await targetsOf[kind]!(t)
    const tools = toolsOf(targets)
    const ask = (definition: CheckDefinition, more = {}): Promise<CheckResult> =>
      once(run, definition, { ...tools, ...more })

    await t.test('its definitions are of its kind, and hold only what it reads', async t => {
      for (const definition of [targets.well, targets.ill, targets.hangs]) {
        t.ok(schema.isAskedBy(definition))
        t.ok(Object.keys(definition).every(key => schema.fields.includes(key as never)))
      }
      t.notOk(schema.isAskedBy({}))
    })

    await t.test('well and ill', async t => {
      t.match(await ask(targets.well), { status: 'passing' })
      t.match(await ask(targets.ill), { status: 'critical' })
    })

    await t.test('a target that does not answer: the runner ends it, all is let go', async t => {
      const before = opened()
      const meanwhile = (one: { end(why: 'timeout'): void }): void =>
        void until(() => opened() > before, 'asked').then(() => one.end('timeout'))
      const { status, output } = await ask(targets.hangs, { meanwhile, timeoutMs: 1_000 })
      t.equal(status, targets.isSilenceWell ? 'passing' : 'critical')
      t.match(output, /\S/, 'and says why')
      await until(() => opened() <= before, 'let go')
    })

    await t.test('a stopped run reports nothing and lets go', async t => {
      const before = opened()
      let reports = 0
      const request = { definition: targets.hangs, timeoutMs: 5_000, outputMaxSizeBytes: 100 }
      for (const isUnderWay of [true, false]) {
        const one = run(request, tools, () => reports++)
        if (isUnderWay) await until(() => opened() > before, 'asked')
        one.end('stopped')
        one.end('timeout')
        await until(() => opened() <= before, 'let go')
      }
      t.equal(reports, 0)
    })

    await t.test('whatever a definition says there is a result', async t => {
      const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.webUrl())
      const words = fc.array(text, { minLength: 1, maxLength: 3 })
      const field = Object.keys(targets.well)[0] as keyof CheckDefinition
      const given = field === 'scriptArgs' ? words.map(some => ['/nonexistent', ...some]) : text
      // Nobody is reached: what is not refused at once is not connected to.
      const nobody = { mayReach: () => false, dockerHost: 'unix:///nonexistent' }
      const isTotal = async (value: unknown): Promise<boolean> => {
        const result = await ask({ ...targets.well, [field]: value }, nobody)
        return ['passing', 'warning', 'critical'].includes(result.status)
      }
      await fc.assert(fc.asyncProperty(given, isTotal), { numRuns: 30 })
      t.pass()
    })

    const { at } = targets
    if (at !== undefined) await t.test('the guard', t => guarded(t, run, at))
    await t.test('what is said follows the target', t => followed(t, { kind, targets, tools }))
  })
}

/** Guarded addresses are not reached, by whatever name or spelling. */
async function guarded(t: Test, run: StartRun, at: (host: string) => CheckDefinition) {
  const mayReach = targetGuard([])
  const rebound = { 'inner.example': ['169.254.169.254'], 'two.example': ['fe80::1', '127.0.0.1'] }
  const resolver = knowing(rebound)
  for (const host of ['169.254.169.254', '[fe80::1]', '[::ffff:a9fe:a9fe]', 'inner.example']) {
    const { status, output } = await once(run, at(host), { mayReach, resolver })
    t.equal(status, 'critical')
    t.match(output, /checks may not reach .*\(check_targets\.allow\)/, host)
  }
  const both = await once(run, at('two.example'), { mayReach, resolver })
  t.equal(both.status, 'passing', 'only the address that is allowed is asked')
  const only = targetGuard(['10.0.0.0/8'])
  const loopback = await once(run, at('127.0.0.1'), { mayReach: only })
  t.match(loopback.output, /checks may not reach 127\.0\.0\.1/)
}

async function followed(
  t: Test,
  { kind, targets, tools }: { kind: string; targets: KindTargets; tools: RunTools },
) {
  const clock = new FakeClock()
  const said: string[] = []
  const runner = new CheckRunner({
    kinds,
    timeouts: new Timeouts(clock),
    random: { fraction: () => 0, uuid: () => '', bytes: size => Buffer.alloc(size) },
    tools,
    outputMaxSizeBytes: 4_096,
    onResult: (_id, { status }) => said.push(status),
  })
  t.teardown(() => runner.stopAll())
  const next = async (definition: CheckDefinition, count: number): Promise<void> => {
    runner.start(checkOf(kind, { ...definition, intervalMs: 10_000 }), 'critical')
    const before = said.length
    for (let run = 1; run <= count; run++) {
      await clock.advance(run === 1 ? 40 : 10_040)
      await until(() => said.length >= before + run, `run ${run}`)
    }
    t.equal(said.length, before + count, 'one result an interval')
  }
  await next(targets.well, 2)
  await next(targets.ill, 1)
  await next(targets.well, 1)
  t.same(said, ['passing', 'passing', 'critical', 'passing'])
}

const checkOf = (kind: string, definition: CheckDefinition): LocalCheck => ({
  checkId: 'c',
  name: 'c',
  notes: '',
  kind,
  serviceId: '',
  definition,
  ttlMs: 0,
  successBeforePassing: 0,
  failuresBeforeWarning: 0,
  failuresBeforeCritical: 0,
  outputMaxSizeBytes: 0,
})
