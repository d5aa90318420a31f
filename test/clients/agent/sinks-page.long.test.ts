/** The page of sinks, followed before an agent that is no server, of three. */
process.env.GATEHOUSE_TEST_TARGET = 'agent'
await import('../sinks-page.test.ts')
