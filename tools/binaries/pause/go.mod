module metricat.dev/programs/pause

go 1.26.8
