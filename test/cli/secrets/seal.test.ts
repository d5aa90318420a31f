/**
 * The seal of a running server from the command line: init, unseal, rekey, a new root token, and
 * what the server says of itself.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon } from '../../clients/daemon.ts'
import { call, type Outcome } from '../support.ts'

interface Init {
  readonly unseal_keys_b64: string[]
  readonly root_token: string
}

t.test('from the first start to another root token', async t => {
  const daemon = await startDaemon(t, { engine: 'memory' })
  const home = t.testdir({})
  const address = `http://127.0.0.1:${daemon.secretsPort}`
  const ask = (line: string | string[], options: Parameters<typeof call>[1] = {}) => {
    const environment = { VAULT_ADDR: address, HOME: home, ...options.environment }
    return call(line, { program: 'vault', ...options, environment })
  }
  const done = async (line: string | string[], options = {}) => {
    const { code, out, error } = await ask(line, options)
    t.equal(code, 0, `${line}: ${error}`)
    return out
  }
  /** Gives each of the shares on stdin. */
  const give = async (line: string, shares: readonly string[]) => {
    let out = ''
    for (const share of shares) out = await done(`${line} -`, { stdin: share })
    return out
  }
  t.match(await ask('operator init -status'), { code: 2, out: 'Vault is not initialized' })
  t.match(await ask('status'), { code: 2, out: /Initialized +false\nSealed +true\n/ })
  t.match(await ask('operator init -key-shares=2 -key-threshold=3'), {
    code: 2,
    error: 'Code: 400',
  })
  const text = await done('operator init -n 3 -t 2 -format=json')
  const { unseal_keys_b64: shares, root_token: root } = JSON.parse(text) as Init
  t.match(shares, { length: 3 })
  t.match(root, /^hvs\.\w{24}$/)
  t.match(await ask('operator init'), { code: 2, error: 'Vault is already initialized' })
  t.match(await ask('login -', { stdin: root }), { code: 2, error: 'Vault is sealed' })
  const first = await done('operator unseal -', { stdin: shares[0] ?? '' })
  t.match(first, /Sealed +true\nTotal Shares +3\nThreshold +2\nUnseal Progress +1\/2\n/)
  t.match(await done('operator unseal -reset'), /Unseal Progress +0\/2\n/)
  t.match(await give('operator unseal', shares.slice(1)), /Sealed +false\n/)
  t.match(await ask('status'), { code: 0, out: /Sealed +false\n/ })
  t.match(await done('login -', { stdin: root }), 'Success! You are now authenticated.')
  t.equal(readFileSync(join(home, '.vault-token'), 'utf8'), root)
  await done('secrets enable -path=secret kv-v2')
  await done('kv put secret/web a=b')

  const rekey = await done('operator rekey -init -n 2 -t 2 -format=json')
  const { nonce } = JSON.parse(rekey) as { nonce: string }
  await done(['operator', 'rekey', `-nonce=${nonce}`, '-'], { stdin: shares[0] })
  const renewed = await done(['operator', 'rekey', `-nonce=${nonce}`, '-format=json', '-'], {
    stdin: shares[1],
  })
  const { keys_base64: fresh } = JSON.parse(renewed) as { keys_base64: string[] }
  t.match(fresh, { length: 2 })
  t.match(await done('operator rotate'), /^Success! Rotated key\n\nKey Term +2\n/)
  await done('operator seal')
  t.match(await ask('kv get secret/web'), { code: 2, error: 'Vault is sealed' })
  t.match(await give('operator unseal', fresh), /Sealed +false\n/)
  t.equal(await done('kv get -field=a secret/web'), 'b')

  const begun = JSON.parse(await done('operator generate-root -init -format=json'))
  const line = `operator generate-root -nonce=${begun.nonce} -format=json`
  const ended = JSON.parse(await give(line, fresh)) as { encoded_token: string }
  const decode = `operator generate-root -otp=${begun.otp} -decode=-`
  const token = await done(decode, { stdin: ended.encoded_token })
  t.match(token, /^hvs\.\w{24}$/)
  t.not(token, root)
  const other = { environment: { VAULT_TOKEN: token } }
  t.equal(await done('kv get -field=a secret/web', other), 'b')
  await tell(t, { ask, done, home })
})

interface Asking {
  readonly home: string
  ask(line: string, options?: Parameters<typeof call>[1]): Promise<Outcome>
  done(line: string, options?: Parameters<typeof call>[1]): Promise<string>
}

/** What a server that is open says of itself. */
async function tell(t: Test, { ask, done, home }: Asking): Promise<void> {
  t.match(await done('status'), /Version +1\.\d+\.\d+\n[\s\S]*HA Enabled +false\n/)
  t.equal(await done('status -field=sealed'), 'false')
  t.match(await done('operator members'), /\n\S+ +http:\S+ +https:\S+ +true +1\.\d+\.\d+ /)
  t.match(await done('operator raft list-peers'), /\n[0-9a-f-]{36} +\S+ +leader +true$/)
  t.match(await done('operator raft autopilot state'), /^Healthy: +true\n/)
  t.match(await done('operator raft autopilot get-config'), /min_quorum +0/)
  t.match(await done('version-history'), /\n1\.\d+\.\d+ +20/)
  t.match(await done('path-help sys/mounts'), /^Request: +mounts\n/)
  t.match(JSON.parse(await done('path-help -format=json sys/mounts')), { openapi: /^3\./ })
  t.match(await ask('audit list'), { code: 2, error: 'No audit devices are enabled.' })
  t.match(await ask('audit enable file file_path=x'), { code: 2, error: 'use declarative' })
  const archive = join(home, 'backup.snap')
  await done(`operator raft snapshot save ${archive}`)
  t.ok(existsSync(archive))
  t.match(await done(`operator raft snapshot inspect ${archive}`), /secret/)
  t.match(await ask(`operator raft snapshot restore ${archive}`), { code: 2, error: 'Code: 501' })
  const output = join(home, 'report')
  const targets = ['config', 'host', 'metrics', 'requests', 'server-status', 'log']
  const flags = targets.map(name => `-target=${name}`).join(' ')
  const debug = await ask(`debug -duration=1s ${flags} -output=${output}`)
  t.match(debug, { code: 0, error: '', out: `Success! Bundle written to: ${output}.tar.gz` })
  t.match(await done('operator step-down'), 'Success! Stepped down: http://')
}
