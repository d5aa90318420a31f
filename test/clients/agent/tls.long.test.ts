/** curl and others over TLS before an agent that is no server, of three. */
process.env.GATEHOUSE_TEST_TARGET = 'agent'
await import('../tls.test.ts')
