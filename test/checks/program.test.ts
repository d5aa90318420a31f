import t from 'tap'
import { programEnvironment, programResult, programTimeout } from '../../src/checks/program.ts'
import { Tail } from '../../src/checks/tail.ts'

function tail(text: string, keptBytes = 4_096): Tail {
  const made = new Tail(keptBytes)
  made.push(Buffer.from(text))
  return made
}

t.test('exit codes', async t => {
  const status = (code: number | undefined) => programResult(code, tail('')).status
  t.same([0, 1, 2, 127, undefined].map(status), [
    'passing',
    'warning',
    'critical',
    'critical',
    'critical',
  ])
})

t.test('outputs, and how much of them there was', async t => {
  t.equal(programResult(0, tail('fine\n')).output, 'fine\n')
  t.equal(programResult(0, tail('x'.repeat(4_096))).output, 'x'.repeat(4_096))
  const long = programResult(1, tail(`${'x'.repeat(5_000)}end`))
  t.match(long, { status: 'warning', output: /^Captured 4096 of 5003 bytes\n\.\.\.\nx+end$/ })
  t.equal(long.output.length, 'Captured 4096 of 5003 bytes\n...\n'.length + 4_096)
})

t.test('no time left', async t => {
  t.same(programTimeout(1_000, tail('')), {
    status: 'critical',
    output: 'Timed out (1s) running check',
  })
  const said = programTimeout(30_000, tail('working'))
  t.equal(said.output, 'Timed out (30s) running check\n\nworking')
})

t.test('a program gets what it needs of our environment, and no token', async t => {
  const all = { PATH: '/bin', HOME: '/root', CONSUL_HTTP_TOKEN: 'secret', VAULT_TOKEN: 's', TZ: '' }
  t.same(programEnvironment(all), { PATH: '/bin', HOME: '/root', TZ: '' })
})
