/** The page of second factors, followed before an agent that is no server, of three. */
process.env.GATEHOUSE_TEST_TARGET = 'agent'
await import('../mfa-page.test.ts')
