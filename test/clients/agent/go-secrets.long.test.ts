/** The Go clients of Vault and OpenBao before an agent that is no server, of three. */
process.env.GATEHOUSE_TEST_TARGET = 'agent'
await import('../go-secrets.test.ts')
