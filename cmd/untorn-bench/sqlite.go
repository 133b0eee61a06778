package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite"
)

// sqlite is SQLite in WAL mode with FULL sync (NORMAL where nothing need be
// synced: then the WAL is synced by checkpoints only). One connection holds the
// database for itself, so the WAL's index is in memory; the statements are
// prepared, and many rows go into one INSERT.
type sqlite struct {
	db   *sql.DB
	conn *sql.Conn

	one, many *sql.Stmt // for one row, and for manyRows
	begin     *sql.Stmt
	commit    *sql.Stmt
	args      []any

	es    bool
	last  int64
	heads map[string]int64
	ids   ids
}

// manyRows is how many rows one INSERT takes.
const manyRows = 50

const (
	sqliteLog = `CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, data BLOB NOT NULL)`
	sqliteES  = `CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE,
		stream TEXT NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE (stream, version))`
)

func openSQLite(setup Setup) (serial, error)   { return openSQLiteDB(setup, false) }
func openSQLiteES(setup Setup) (serial, error) { return openSQLiteDB(setup, true) }

func openSQLiteDB(setup Setup, es bool) (_ serial, err error) {
	full := "FULL"
	if setup.Buffered {
		full = "NORMAL"
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(setup.Dir, "log.sqlite")+
		"?_pragma=locking_mode(EXCLUSIVE)&_pragma=journal_mode(WAL)&_pragma=synchronous("+full+")"+
		"&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-64000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	s := &sqlite{db: db, es: es, heads: map[string]int64{}, ids: newIDs()}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	ctx := context.Background()
	if s.conn, err = db.Conn(ctx); err != nil {
		return nil, err
	}
	table, insert, row := sqliteLog, "INSERT INTO log (seq, data) VALUES ", "(?,?)"
	if es {
		table, insert, row = sqliteES, "INSERT INTO log (seq, id, stream, version, data) VALUES ", "(?,?,?,?,?)"
	}
	if _, err = s.conn.ExecContext(ctx, table); err != nil {
		return nil, err
	}
	for _, prepare := range []struct {
		into **sql.Stmt
		text string
	}{
		{&s.one, insert + row},
		{&s.many, insert + row + strings.Repeat(","+row, manyRows-1)},
		{&s.begin, "BEGIN IMMEDIATE"},
		{&s.commit, "COMMIT"},
	} {
		if *prepare.into, err = s.conn.PrepareContext(ctx, prepare.text); err != nil {
			return nil, err
		}
	}
	if err = s.conn.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM log").Scan(&s.last); err != nil || !es {
		return s, err
	}
	rows, err := s.conn.QueryContext(ctx, "SELECT stream, max(version) FROM log GROUP BY stream")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var stream string
		var version int64
		if err = rows.Scan(&stream, &version); err != nil {
			return nil, err
		}
		s.heads[stream] = version
	}
	return s, rows.Err()
}

func (s *sqlite) append(calls [][]Event) error {
	total := 0
	for _, events := range calls {
		total += len(events)
	}
	if total == 1 {
		s.add(&calls[0][0])
		return s.insert(s.one) // a transaction of its own
	}
	if _, err := s.begin.Exec(); err != nil {
		return err
	}
	if err := s.rows(calls, total); err != nil {
		_, rollback := s.conn.ExecContext(context.Background(), "ROLLBACK")
		return errors.Join(err, rollback)
	}
	_, err := s.commit.Exec()
	return err
}

func (s *sqlite) rows(calls [][]Event, total int) error {
	pending := 0
	for _, events := range calls {
		for i := range events {
			s.add(&events[i])
			pending++
			total--
			statement := s.many
			if pending < manyRows {
				if pending+total >= manyRows {
					continue // the rest fills one
				}
				statement = s.one
			}
			if err := s.insert(statement); err != nil {
				return err
			}
			pending = 0
		}
	}
	return nil
}

// add appends a row's arguments.
func (s *sqlite) add(e *Event) {
	s.last++
	if !s.es {
		s.args = append(s.args, s.last, e.Data)
		return
	}
	made := s.ids.next()
	s.heads[e.Stream]++
	s.args = append(s.args, s.last, made[:], e.Stream, s.heads[e.Stream], e.Data)
}

func (s *sqlite) insert(statement *sql.Stmt) error {
	_, err := statement.Exec(s.args...)
	s.args = s.args[:0]
	return err
}

func (s *sqlite) Read(visit func(data []byte) error) error {
	rows, err := s.conn.QueryContext(context.Background(), "SELECT data FROM log ORDER BY seq")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return err
		}
		if err := visit(data); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *sqlite) Close() error {
	var errs []error
	for _, statement := range []*sql.Stmt{s.one, s.many, s.begin, s.commit} {
		if statement != nil {
			errs = append(errs, statement.Close())
		}
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	return errors.Join(append(errs, s.db.Close())...)
}
