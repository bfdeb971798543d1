import ParleyCommands
import ParleySQLiteWiring

ParleyProgram.main(plugins: [.sqlite], sibling: "parley-full")
