/** The blocks of user_lockout: what they say of which method, and what is refused. */
import t from 'tap'
import { type ConfigResult, resolveConfig } from '../../src/agent/config.ts'

const surroundings = { hostName: 'host-1', interfaces: [], workingDir: '/w' }

function resolve(text: string): ConfigResult {
  const texts = [{ name: 'a.hcl', text, format: 'hcl' as const }]
  return resolveConfig({ texts, flags: [], isDev: false }, surroundings)
}

t.test('blocks by method, in the forms that Vault takes', async t => {
  const result = resolve(`
    user_lockout "all" { lockout_duration = "10m" }
    user_lockout "UserPass" { lockout_threshold = "3" lockout_counter_reset = 60 }
    user_lockout "userpass" { disable_lockout = true }
    user_lockout "approle" { lockout_threshold = 7 disable_lockout = "false" }`)
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  t.strictSame(result.config.lockout, {
    all: { durationMs: 600_000 },
    userpass: { thresholdCount: 3, counterResetMs: 60_000, isDisabled: true },
    approle: { thresholdCount: 7, isDisabled: false },
  })
  const bare = resolve('')
  t.match(bare, { config: { lockout: {} } })
})

t.test('mistakes are told with their place', async t => {
  for (const [block, problem] of [
    ['"cert" {}', /must be one of all, approle, ldap, userpass/],
    ['"all" { lockout_threshold = "many" }', /lockout_threshold: must be a whole number/],
    ['"all" { lockout_duration = "-1m" }', /lockout_duration: must be a duration/],
    ['"all" { disable_lockout = "maybe" }', /must be true or false/],
    ['"all" { other = 1 }', /unknown key of user_lockout/],
    ['{ lockout_threshold = 1 }', /has a method/],
  ] as const) {
    const result = resolve(`user_lockout ${block}`)
    t.match(
      'problems' in result ? result.problems.join('\n') : '',
      problem,
      `block ${block.length}`,
    )
  }
})
