/**
 * The Go clients of Vault and OpenBao, on which Nomad, Terraform and consul-template stand, and
 * what those ask in their order: go-secrets/main.go says what.
 */
import t from 'tap'
import { absent, tooOldGo } from '../run/clients.ts'
import { buildGo } from './go-build.ts'
import { assertScript, launch } from './process.ts'
import { startSecrets } from './secrets.ts'

const skip = absent('go', 'oathtool') || tooOldGo(1, 24)

t.test('github.com/hashicorp/vault/api, github.com/openbao/openbao/api', { skip }, async t => {
  const script = await buildGo(t, 'go-secrets')
  const { address } = await startSecrets(t)
  await assertScript(t, launch(t, script, [address]))
})
