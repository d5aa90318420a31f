/**
 * The Go client, on which Nomad, Terraform and consul-template stand: go/main.go says what.
 */
import t from 'tap'
import { absent } from '../run/clients.ts'
import { program, startDaemon } from './daemon.ts'
import { buildGo } from './go-build.ts'
import { assertScript, launch } from './process.ts'

t.test('github.com/hashicorp/consul/api', { skip: absent('go') }, async t => {
  const script = await buildGo(t, 'go')
  const daemon = await startDaemon(t)
  await assertScript(t, launch(t, script, [String(daemon.httpPort), program]))
  const acl = '-hcl=acl { enabled = true default_policy = "deny" }'
  const guarded = await startDaemon(t, { words: [acl] })
  await assertScript(t, launch(t, script, [String(guarded.httpPort), program, 'acl']))
})
