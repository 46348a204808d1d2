# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_svc_global_optspecs
    string join \n services= runtime-dir= log-dir= state-dir= h/help V/version
end

function __fish_svc_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_svc_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_svc_using_subcommand
    set -l cmd (__fish_svc_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c svc -n "__fish_svc_needs_command" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_needs_command" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_needs_command" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_needs_command" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_needs_command" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_needs_command" -s V -l version -d 'Print version'
complete -c svc -n "__fish_svc_needs_command" -f -a "help" -d 'Show the help of a command'
complete -c svc -n "__fish_svc_needs_command" -f -a "supervise" -d 'Run the services in this terminal; Ctrl-C ends all'
complete -c svc -n "__fish_svc_needs_command" -f -a "daemon" -d 'Run the services in the background'
complete -c svc -n "__fish_svc_needs_command" -f -a "init" -d 'Run the services, or one program, as PID 1 of a container or a machine'
complete -c svc -n "__fish_svc_needs_command" -f -a "up" -d 'Start services and keep them running'
complete -c svc -n "__fish_svc_needs_command" -f -a "down" -d 'Stop services, with every process they started'
complete -c svc -n "__fish_svc_needs_command" -f -a "restart" -d 'Stop services and start them again'
complete -c svc -n "__fish_svc_needs_command" -f -a "reload" -d 'Let services read their own configuration again'
complete -c svc -n "__fish_svc_needs_command" -f -a "once" -d 'Start services without restarting them when they end'
complete -c svc -n "__fish_svc_needs_command" -f -a "pause" -d 'Stop services where they are (STOP)'
complete -c svc -n "__fish_svc_needs_command" -f -a "cont" -d 'Let paused services go on (CONT)'
complete -c svc -n "__fish_svc_needs_command" -f -a "signal" -d 'Send a signal to the main process of services'
complete -c svc -n "__fish_svc_needs_command" -f -a "wait" -d 'Wait until services have ended'
complete -c svc -n "__fish_svc_needs_command" -f -a "status" -d 'Show the state of all services, or everything about one'
complete -c svc -n "__fish_svc_needs_command" -f -a "list" -d 'List the names of all services'
complete -c svc -n "__fish_svc_needs_command" -f -a "logs" -d 'Show what services have printed'
complete -c svc -n "__fish_svc_needs_command" -f -a "why" -d 'Tell why a service is in its state: its last changes, and who asked'
complete -c svc -n "__fish_svc_needs_command" -f -a "events" -d 'Follow the changes of state as they happen'
complete -c svc -n "__fish_svc_needs_command" -f -a "pid" -d 'Print the process id of services'
complete -c svc -n "__fish_svc_needs_command" -f -a "ps" -d 'List every process of services, as `ps axj` does'
complete -c svc -n "__fish_svc_needs_command" -f -a "check" -d 'Check service directories; nothing is started'
complete -c svc -n "__fish_svc_needs_command" -f -a "show" -d 'Show every effective setting of services, and where it comes from'
complete -c svc -n "__fish_svc_needs_command" -f -a "rescan" -d 'Read all service directories again now'
complete -c svc -n "__fish_svc_needs_command" -f -a "shutdown" -d 'Stop all services and end svc'
complete -c svc -n "__fish_svc_using_subcommand help" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand supervise" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand supervise" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand supervise" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand supervise" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand supervise" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand daemon" -l log-file -d 'Where svc writes its own messages; without it they are thrown away' -r -F
complete -c svc -n "__fish_svc_using_subcommand daemon" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand daemon" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand daemon" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand daemon" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand daemon" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand init" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand init" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand init" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand init" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand init" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand up" -l timeout -d 'Wait no longer than this, for example 5s; what was asked for still goes on' -r
complete -c svc -n "__fish_svc_using_subcommand up" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand up" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand up" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand up" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand up" -s a -l all -d 'All services'
complete -c svc -n "__fish_svc_using_subcommand up" -l no-wait -d 'Only ask for it, and do not wait until it is done'
complete -c svc -n "__fish_svc_using_subcommand up" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand up" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand down" -l timeout -d 'Wait no longer than this, for example 5s; what was asked for still goes on' -r
complete -c svc -n "__fish_svc_using_subcommand down" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand down" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand down" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand down" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand down" -s a -l all -d 'All services'
complete -c svc -n "__fish_svc_using_subcommand down" -l no-wait -d 'Only ask for it, and do not wait until it is done'
complete -c svc -n "__fish_svc_using_subcommand down" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand down" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand restart" -l timeout -d 'Wait no longer than this, for example 5s; what was asked for still goes on' -r
complete -c svc -n "__fish_svc_using_subcommand restart" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand restart" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand restart" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand restart" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand restart" -s a -l all -d 'All services'
complete -c svc -n "__fish_svc_using_subcommand restart" -l no-wait -d 'Only ask for it, and do not wait until it is done'
complete -c svc -n "__fish_svc_using_subcommand restart" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand restart" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand reload" -l timeout -d 'Wait no longer than this, for example 5s; what was asked for still goes on' -r
complete -c svc -n "__fish_svc_using_subcommand reload" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand reload" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand reload" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand reload" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand reload" -s a -l all -d 'All services'
complete -c svc -n "__fish_svc_using_subcommand reload" -l no-wait -d 'Only ask for it, and do not wait until it is done'
complete -c svc -n "__fish_svc_using_subcommand reload" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand reload" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand once" -l timeout -d 'Wait no longer than this, for example 5s; what was asked for still goes on' -r
complete -c svc -n "__fish_svc_using_subcommand once" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand once" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand once" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand once" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand once" -s a -l all -d 'All services'
complete -c svc -n "__fish_svc_using_subcommand once" -l no-wait -d 'Only ask for it, and do not wait until it is done'
complete -c svc -n "__fish_svc_using_subcommand once" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand once" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand pause" -l timeout -d 'Wait no longer than this, for example 5s; what was asked for still goes on' -r
complete -c svc -n "__fish_svc_using_subcommand pause" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand pause" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand pause" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand pause" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand pause" -s a -l all -d 'All services'
complete -c svc -n "__fish_svc_using_subcommand pause" -l no-wait -d 'Only ask for it, and do not wait until it is done'
complete -c svc -n "__fish_svc_using_subcommand pause" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand pause" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand cont" -l timeout -d 'Wait no longer than this, for example 5s; what was asked for still goes on' -r
complete -c svc -n "__fish_svc_using_subcommand cont" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand cont" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand cont" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand cont" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand cont" -s a -l all -d 'All services'
complete -c svc -n "__fish_svc_using_subcommand cont" -l no-wait -d 'Only ask for it, and do not wait until it is done'
complete -c svc -n "__fish_svc_using_subcommand cont" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand cont" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand signal" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand signal" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand signal" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand signal" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand signal" -s a -l all -d 'All services'
complete -c svc -n "__fish_svc_using_subcommand signal" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand signal" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand wait" -l timeout -d 'Wait no longer than this, for example 5s' -r
complete -c svc -n "__fish_svc_using_subcommand wait" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand wait" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand wait" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand wait" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand wait" -s a -l all -d 'All services'
complete -c svc -n "__fish_svc_using_subcommand wait" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand wait" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand status" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand status" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand status" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand status" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand status" -l json -d 'Print JSON: of one service its own object, else one object with `services`'
complete -c svc -n "__fish_svc_using_subcommand status" -s q -l quiet -d 'Print nothing: only the exit code counts'
complete -c svc -n "__fish_svc_using_subcommand status" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand list" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand list" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand list" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand list" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand list" -l json -d 'Print one JSON array'
complete -c svc -n "__fish_svc_using_subcommand list" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand logs" -s n -l lines -d 'The last N lines only' -r
complete -c svc -n "__fish_svc_using_subcommand logs" -l since -d 'Nothing before this time' -r
complete -c svc -n "__fish_svc_using_subcommand logs" -l until -d 'Nothing after this time' -r
complete -c svc -n "__fish_svc_using_subcommand logs" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand logs" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand logs" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand logs" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand logs" -s f -l follow -d 'Go on with what comes, until interrupted'
complete -c svc -n "__fish_svc_using_subcommand logs" -l no-prefix -d 'The lines alone, without time and name in front'
complete -c svc -n "__fish_svc_using_subcommand logs" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand why" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand why" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand why" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand why" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand why" -l json -d 'Print one JSON array'
complete -c svc -n "__fish_svc_using_subcommand why" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand events" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand events" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand events" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand events" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand events" -l json -d 'Print one JSON object a line'
complete -c svc -n "__fish_svc_using_subcommand events" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand pid" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand pid" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand pid" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand pid" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand pid" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand ps" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand ps" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand ps" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand ps" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand ps" -l json -d 'Print one JSON array'
complete -c svc -n "__fish_svc_using_subcommand ps" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand check" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand check" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand check" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand check" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand check" -s q -l quiet -d 'Print problems only'
complete -c svc -n "__fish_svc_using_subcommand check" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand show" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand show" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand show" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand show" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand show" -l json -d 'Print one JSON object with the settings of each service'
complete -c svc -n "__fish_svc_using_subcommand show" -l changed -d 'Only what differs from the default'
complete -c svc -n "__fish_svc_using_subcommand show" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand rescan" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand rescan" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand rescan" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand rescan" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand rescan" -s q -l quiet -d 'Print problems only'
complete -c svc -n "__fish_svc_using_subcommand rescan" -s h -l help -d 'Print help'
complete -c svc -n "__fish_svc_using_subcommand shutdown" -l timeout -d 'Wait no longer than this, for example 30s; the shutdown still goes on' -r
complete -c svc -n "__fish_svc_using_subcommand shutdown" -l services -d 'The folder of the service directories [env: SVC_DIR] [default: /etc/svc, or ~/.config/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand shutdown" -l runtime-dir -d 'Where the control socket is [env: SVC_RUNTIME_DIR] [default: /run/svc, or $XDG_RUNTIME_DIR/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand shutdown" -l log-dir -d 'Where the logs are [env: SVC_LOG_DIR] [default: /var/log/svc, or ~/.local/state/svc/log]' -r -F
complete -c svc -n "__fish_svc_using_subcommand shutdown" -l state-dir -d 'What outlives a boot [env: SVC_STATE_DIR] [default: /var/lib/svc, or ~/.local/state/svc]' -r -F
complete -c svc -n "__fish_svc_using_subcommand shutdown" -l no-wait -d 'Only ask for it, and do not wait until svc has ended'
complete -c svc -n "__fish_svc_using_subcommand shutdown" -s q -l quiet -d 'Print failures only'
complete -c svc -n "__fish_svc_using_subcommand shutdown" -s h -l help -d 'Print help'
