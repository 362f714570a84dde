// Package cluster tests several nodes of the built program on one PostgreSQL server,
// while nodes are killed and stopped, cut off from the database, and the database
// itself crashes: nothing that was answered is lost, and nothing is done twice.
package cluster
