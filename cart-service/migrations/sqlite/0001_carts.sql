-- A cart per subject. Why two tables: `carts` says that there is a cart and when
-- it last changed, even when it is empty, and `cart_lines` keeps one row a product,
-- so that a change of one line writes one row.
--
-- The CHECKs repeat what cart.rs promises: a hand that edits the file is held to them too.

CREATE TABLE carts (
    subject    TEXT    NOT NULL PRIMARY KEY,
    -- Milliseconds since the Unix epoch.
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cart_lines (
    subject  TEXT    NOT NULL REFERENCES carts (subject) ON DELETE CASCADE,
    sku      TEXT    NOT NULL CHECK (length(sku) BETWEEN 1 AND 32),
    quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 99),
    -- Grows with every line that is added; gaps mean nothing.
    position INTEGER NOT NULL,
    PRIMARY KEY (subject, sku)
) STRICT, WITHOUT ROWID;
