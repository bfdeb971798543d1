import ParleyCommands

ParleyProgram.main(plugins: [.sqlite])
