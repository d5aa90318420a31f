/** The blocks of the seal: what each kind takes, and what is refused without a word of a secret. */
import t from 'tap'
import { type ConfigResult, resolveConfig } from '../../src/agent/config.ts'

const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/w' }

function resolve(text: string): ConfigResult {
  const texts = [{ name: 'a.hcl', text, format: 'hcl' as const }]
  return resolveConfig({ texts, flags: [], isDev: false }, surroundings)
}

function sealOf(text: string) {
  const result = resolve(text)
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return result.config.seal
}

const problemsOf = (text: string): string => {
  const result = resolve(text)
  return 'problems' in result ? result.problems.join('\n') : ''
}

const STATIC = 'seal "static" { current_key_id = "one" current_key = "file:///k" }'

t.test('people bring key shares unless a seal is named', async t => {
  t.strictSame(sealOf(''), {
    current: undefined,
    former: undefined,
    isPeerOpened: true,
    isRekeyOpen: false,
    isRootTokenOpen: false,
  })
  t.equal(sealOf('seal "shamir" {}').current, undefined)
  const open = `secrets { peer_unseal = false disable_unauthed_rekey_endpoints = false
    disable_unauthed_generate_root_endpoints = false }`
  t.match(sealOf(open), { isPeerOpened: false, isRekeyOpen: true, isRootTokenOpen: true })
})

t.test('a static seal, and one of another server', async t => {
  t.strictSame(sealOf(STATIC).current, {
    type: 'static',
    values: { current_key_id: 'one', current_key: 'file:///k' },
  })
  const transit = sealOf(`seal "transit" { address = "https://v:8200" token = "env://T"
    key_name = "k" mount_path = "transit/" disable_renewal = "true" tls_skip_verify = true
    tls_ca_cert = "ca.pem" }`)
  t.match(transit.current, {
    type: 'transit',
    values: { disable_renewal: 'true', tls_skip_verify: 'true', tls_ca_cert: '/w/ca.pem' },
  })
})

t.test('a seal that is disabled is the former one', async t => {
  const both = `${STATIC} seal "transit" { disabled = "true" address = "http://v" token = "t"
    key_name = "k" mount_path = "m" }`
  t.match(sealOf(both), { current: { type: 'static' }, former: { type: 'transit' } })
  t.match(sealOf('seal "shamir" { disabled = true }'), { former: undefined })
})

t.test('what is no seal is refused, and what it held is not told', async t => {
  t.match(problemsOf('seal "static" { current_key_id = "a" }'), /seal: current_key: is missing/)
  t.match(
    problemsOf('seal "static" { current_key_id = "" current_key = "k" }'),
    /current_key_id: is missing/,
  )
  t.match(problemsOf('seal "awskms" {}'), /seal: awskms: not served yet: awskms/)
  t.match(problemsOf('seal "wax" {}'), /must be one of shamir, static, transit/)
  t.match(problemsOf('seal = "x"'), /seal: must be blocks with a type/)
  t.match(problemsOf('seal { static = 1 }'), /a seal has a type/)
  t.match(
    problemsOf('seal "shamir" { shares = "3" }'),
    /shares: unknown key of a seal of type shamir/,
  )
  t.match(problemsOf('seal "shamir" { disabled = "maybe" }'), /disabled: must be true or false/)
  t.match(problemsOf(`${STATIC} ${STATIC}`), /seal: one seal at a time/)
  const former = STATIC.replace('{', '{ disabled = true')
  t.match(problemsOf(`${former} ${former}`), /seal: one former seal at a time/)
  const transit = (more: string): string =>
    problemsOf(`seal "transit" { token = "s3cr3t" key_name = "k" mount_path = "m" ${more} }`)
  t.match(transit('address = "vault:8200"'), /address: must be an http or https address/)
  t.match(transit(''), /address: is missing/)
  const halves = STATIC.replace('}', 'previous_key_id = "zero" }')
  t.match(problemsOf(halves), /previous_key_id: and previous_key go together/)
  const told = transit('address = 5 token = ["s3cr3t"]') + transit('wrong = "s3cr3t"')
  t.notMatch(told, /s3cr3t/)
})
