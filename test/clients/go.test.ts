/**
 * The Go client, on which Nomad, Terraform and consul-template stand: go/main.go says what.
 *
 * It is compiled here; its modules come once through Go's own module proxy.
 */
import path from 'node:path'
import t from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { startDaemon } from './daemon.ts'
import { assertScript, launch, tempFolder } from './process.ts'

t.test('github.com/hashicorp/consul/api', { skip: absent('go') }, async t => {
  const script = path.join(tempFolder(t), 'go-consul')
  const env = {
    GOTOOLCHAIN: 'local',
    GOFLAGS: '-mod=readonly -buildvcs=false',
    GOWORK: 'off',
    CGO_ENABLED: '0',
  }
  const build = launch(t, clientFile('go'), ['build', '-o', script, '.'], {
    env,
    cwd: path.join(import.meta.dirname, 'go'),
  })
  t.equal(await build.ended, 0, `it compiles: ${build.stderr()}`)
  const daemon = await startDaemon(t)
  await assertScript(t, launch(t, script, [String(daemon.httpPort)]))
})
