/**
 * The helpers of Consul's Go SDK, by which projects start an agent in their own tests:
 * go-sdk/sdk_test.go says what. They find our program on the PATH under the name `consul`.
 */
import { symlinkSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { absent } from '../run/clients.ts'
import { program } from './daemon.ts'
import { buildGo } from './go-build.ts'
import { launch, tempFolder } from './process.ts'

/** What it says of an agent that had not answered by then. */
const IMPATIENT = 'api unavailable'

t.test('github.com/hashicorp/consul/sdk/testutil', { skip: absent('go') }, async t => {
  const folder = tempFolder(t)
  const script = await buildGo(t, 'go-sdk', ['test', '-c'])
  symlinkSync(program, path.join(folder, 'consul'))
  const run = async () => {
    const tests = launch(t, script, ['-test.v'], {
      env: { PATH: `${folder}${path.delimiter}${process.env.PATH}`, TMPDIR: folder },
      group: true,
    })
    return { code: await tests.ended, printed: tests.stdout() }
  }
  let { code, printed } = await run()
  // The helper itself gives an agent two seconds: what a machine lacks that does other things too.
  for (let again = 2; code !== 0 && again > 0 && printed.includes(IMPATIENT); again--) {
    t.comment('once more: the helper did not wait for the machine')
    const next = await run()
    code = next.code
    printed = next.printed
  }
  const lines = printed.matchAll(/^ *--- (PASS|FAIL|SKIP): (\S+)/gm)
  let count = 0
  for (const [, verdict = '', name = ''] of lines) {
    count++
    t.equal(verdict, 'PASS', name)
  }
  t.ok(count > 0, `${count} tests`)
  t.equal(code, 0, code === 0 ? 'all of them passed' : printed.slice(-8_000))
})
