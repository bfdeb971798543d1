import ParleyCommands
import ParleySQLiteWiring

// Each backend is one file beside this one and one word here.
ParleyProgram.main(plugins: [.sqlite, .redis, .nats, .matrix, .xmpp, .parley], door: .remote)
