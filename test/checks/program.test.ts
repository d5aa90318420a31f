import t from 'tap'
import {
  type ProgramOutput,
  programEnvironment,
  programResult,
  programTimeout,
} from '../../src/checks/program.ts'

const said = (text: string, seenBytes = text.length): ProgramOutput => ({
  text,
  seenBytes,
  keptBytes: 4_096,
})
const exit = (code: number | undefined, output = said('')) =>
  programResult({ what: 'exit', code, output }, 1_000)

t.test('exit codes', async t => {
  t.same(
    [0, 1, 2, 127, undefined].map(code => exit(code).status),
    ['passing', 'warning', 'critical', 'critical', 'critical'],
  )
  t.same(programResult({ what: 'fault', text: 'why' }, 1_000), {
    status: 'critical',
    output: 'why',
  })
})

t.test('outputs, and how much of them there was', async t => {
  t.equal(exit(0, said('fine\n')).output, 'fine\n')
  t.equal(exit(0, said('x'.repeat(4_096))).output, 'x'.repeat(4_096))
  const long = exit(1, said('x'.repeat(4_096), 5_003))
  t.equal(long.output, `Captured 4096 of 5003 bytes\n...\n${'x'.repeat(4_096)}`)
})

t.test('no time left', async t => {
  t.same(programTimeout(1_000, said('')), {
    status: 'critical',
    output: 'Timed out (1s) running check',
  })
  const end = { what: 'timeout', output: said('working') } as const
  t.equal(programResult(end, 30_000).output, 'Timed out (30s) running check\n\nworking')
})

t.test('a program gets what it needs of our environment, and no token', async t => {
  const all = { PATH: '/bin', HOME: '/root', CONSUL_HTTP_TOKEN: 'secret', VAULT_TOKEN: 's', TZ: '' }
  t.same(programEnvironment(all), { PATH: '/bin', HOME: '/root', TZ: '' })
})
