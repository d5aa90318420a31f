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

t.test('github.com/hashicorp/consul/sdk/testutil', { skip: absent('go') }, async t => {
  const folder = tempFolder(t)
  const script = await buildGo(t, 'go-sdk', ['test', '-c'])
  symlinkSync(program, path.join(folder, 'consul'))
  const tests = launch(t, script, ['-test.v'], {
    env: { PATH: `${folder}${path.delimiter}${process.env.PATH}`, TMPDIR: folder },
    group: true,
  })
  const code = await tests.ended
  const lines = tests.stdout().matchAll(/^ *--- (PASS|FAIL|SKIP): (\S+)/gm)
  let count = 0
  for (const [, verdict = '', name = ''] of lines) {
    count++
    t.equal(verdict, 'PASS', name)
  }
  t.ok(count > 0, `${count} tests`)
  t.equal(code, 0, code === 0 ? 'all of them passed' : tests.stdout().slice(-8_000))
})
