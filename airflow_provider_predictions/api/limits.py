"""Every bound of the package: what it bounds, why, and where a user changes it.

``scripts/bounds.py`` writes the table in ``docs/reliability.md`` from these texts. The first sentence says
what is bounded and in which unit, the next one why. ``Change:`` names the argument or the extra.
"""

from __future__ import annotations

from datetime import timedelta

# Requests and responses

TIMEOUT_SECONDS = 60
"""Seconds to connect, to send, and for each read. A service may prepare a large page for that long.
Change: extra ``timeout``."""
MAX_TIMEOUT_SECONDS = 3600
"""Seconds that extra ``timeout`` may hold. A longer step would hold a worker for hours."""
MAX_TIMEOUTS = 5
"""Timeouts that a whole response may take, headers included; a token, too. Single reads could trickle on.
Change: extra ``timeout``."""
MAX_RESPONSE_BYTES = 256 << 20
"""Bytes of a response, unpacked. A page is in memory as a whole, and a few kilobytes can unpack to gigabytes.
Change: extra ``max_response_bytes``."""
MAX_READ_BYTES = 1 << 14
"""Bytes that are read from a connection at once. Of larger buffers, the unused ends stay in the heap."""
MAX_UNPACK_BYTES = 1 << 14
"""Bytes of gzip that are unpacked at once. Each member of a gzip file copies what follows it."""
MAX_IDLE_CONNECTIONS = 32
"""Open connections that a client keeps for later requests. A landing sends at most 32 requests at once."""
MAX_ATTEMPTS = 5
"""Attempts of a request. The waits between them bridge a quarter of a minute.
Change: the hook's ``attempts``."""
MAX_RETRY_WAIT = 120.0
"""Seconds between two attempts. If a service asks for more, the task's ``retries`` wait without a worker."""
MAX_RETRY_AFTER = 900.0
"""Seconds that a ``Retry-After`` delays other requests, the next poll or the retry of a task. A wrong header
must not stop a DAG for days. Change: ``retry_policy``."""
MAX_RATE_LIMIT_WAIT = 900.0
"""Seconds that a request waits out 429, and that it waits for its turn. Fewer tasks at once help more.
Change: a pool, extra ``requests_per_minute``."""
MAX_DOUBLINGS = 10
"""Windows without a refusal until a learned rate limit is forgotten. By then it has doubled ten times."""
MAX_HEADER_LENGTH = 100
"""Characters of a header with a time. No date of HTTP is longer."""
MAX_URL_LENGTH = 8192
"""Characters of a URL. Servers refuse longer ones, and the time to parse accents grows with their square."""
MAX_HOST_LENGTH = 253
"""Characters of a host. No name server holds a longer name (RFC 1035, section 2.3.4)."""

# Credentials

MAX_TOKEN_ATTEMPTS = 3
"""Attempts at a token that the endpoint refuses with 400. Cradl's refuses good requests now and then."""
MAX_TOKEN_RESPONSE_BYTES = 1 << 20
"""Bytes of a response of the token endpoint, unpacked. A token has a few kilobytes."""
TOKEN_LEEWAY_SECONDS = 60.0
"""Seconds before its end, or half of its life, at which a token is renewed. It must outlive its request."""
MIN_RENEWAL_SECONDS = 60.0
"""Seconds from one replacement of a refused token to the next. Missing rights must not flood the endpoint."""
MAX_MASKED_TOKENS = 10
"""Tokens of a credential that Airflow's log masks. Each one slows the masker, which fails at about 800."""
MIN_SECRET_LENGTH = 8
"""Letters of base64 by which a secret is found in a text. Shorter ones occur in other words."""
MIN_VALUE_LENGTH = 6
"""Letters of a query value that messages hide. Common words hold shorter ones."""

# Messages

MAX_ERROR_BYTES = 1 << 20
"""Bytes of an error response that is read for its message. A larger one is no message."""
MAX_SERVICE_TEXT = 20_000
"""Characters of a service's message that are searched for secrets. The search takes time for each one."""
MAX_ESCAPE_LAYERS = 3
"""Escapes within each other under which a secret is found, such as JSON in a URL. Each one takes time."""
MAX_MESSAGE_LENGTH = 300
"""Characters of a service's message that an error quotes. A line of the log stays readable."""
MAX_QUOTED_LENGTH = 80
"""Characters of a wrong value that an error quotes. A line of the log stays readable."""
MAX_REPR_LENGTH = 2000
"""Characters of a wrong value that are searched for URLs. The search takes time for each one."""
MAX_NAMED = 10
"""Predictions that an error, a message or a manifest names. They stay short when thousands fail."""
MAX_NAMED_HOSTS = 10
"""Hosts of files that the reasons for missing values name. Each record may name another one."""
MAX_WORD_LENGTH = 60
"""Characters of a service's word that a message quotes. A line of the log stays readable."""
MAX_WORDS = 20
"""Words that a message lists. A line of the log stays readable."""
MAX_OBSERVED = 100
"""Different statuses or domains that a pass over a list remembers. Their number is up to the service."""
MAX_OBSERVED_LENGTH = 200
"""Characters of a status or a domain that a pass remembers. Their length is up to the service."""
MAX_COUNTED = 100
"""Predictions that the test of a connection counts. A person waits for the result."""

# Values and lists

MAX_VALUE_DEPTH = 100
"""Levels of nesting below which a value is JSON text. A path names each of them."""
MAX_REMEMBERED_NAMES = 10_000
"""Names and labels of values that stay in memory. A document may have any number of them."""
MAX_PAGE_SIZE = 1000
"""Rows that ``page_size`` may ask for. The services return no more. Change: ``page_size``."""
MIN_PAGE_SIZE = 10
"""Rows to which a page is halved that is too large or too slow (504, a timeout). A smaller one is no faster.
Change: ``page_size``."""
MAX_PAGES_WITHOUT_NEW_ROWS = 100
"""Pages in a row without a new record. Such a list has no end."""
MAX_EMPTY_PAGES = 1000
"""Empty pages in a row. A database that filters after reading sends some."""
MAX_FRONT_READS = 3
"""Times that a pass looks for missing rows at the front of a list. Then the list has them elsewhere."""
MAX_SEARCHES = 2
"""Searches for the start of a time window. A list that outgrows two of them is read from its start."""
MAX_RECENT_PAGES = 2
"""Pages whose ids stay in memory. A list that grows pushes their rows into the next page."""
MAX_TIES = 1000
"""Rows with one creation time whose ids stay in memory. The ids of more are looked up in a file."""
MAX_SPOOLED_BYTES = 1 << 18
"""Bytes of ids that stay in memory before they go to a file. Memory stays flat however long the list is."""
MAX_TEXT_LENGTH = 1 << 20
"""Characters of a text that is read as a list of arguments. A parser takes megabytes for more."""
MAX_LISTING_DELAY = timedelta(hours=1)
"""Seconds after its creation at which a prediction is listed. A list may lag. Change: ``lookback``."""
MAX_CLOCK_SKEW = timedelta(minutes=5)
"""Seconds by which the clocks of one service differ. A creation time may be that far ahead."""
MAX_CLOCK_ERROR = timedelta(days=7)
"""Seconds by which a ``Date`` may differ from this machine's clock. One that differs more is wrong."""

# Waits

MAX_FAILURES = 5
"""Failed polls in a row that end a wait. Short outages do not. Change: ``max_failures``."""
MAX_MISSING_SECONDS = 600.0
"""Seconds for which a wait allows that the service does not show a prediction. It may be listed late.
Change: ``missing_timeout``."""
MAX_UNFINISHED_ROWS = 10_000
"""Unfinished predictions of a list that its polls remember. The list may hide them for a while."""
MAX_PASSED_ROWS = 100
"""Unfinished predictions that a sensor passes to the triggerer. Airflow's database holds them."""
MAX_AGE_SECONDS = 86_400.0
"""Seconds for which a watcher waits for a prediction. Its state holds all of them. Change: ``max_age``."""
MIN_POLL_SECONDS = 5.0
"""Seconds between the polls of a trigger, and to its first or its end. Waits share polls. Change:
``poke_interval``."""
MAX_DEFERRAL_SECONDS = 3e9
"""Seconds after which Airflow ends a deferred wait, about 95 years. Its database holds no time after 9999."""
MAX_FIRST_PAGE_ROWS = 25
"""Rows of a page of a poll while the size of a record is unknown. At 300 KB each, they are 8 MB."""
MAX_PAGE_BYTES = 8 << 20
"""Bytes of a page of a poll, as far as the size of a record is known. Reading a page holds the event loop."""
MAX_COLUMN_BYTES = 8 << 20
"""Bytes of records that are in memory twice. A larger page is read row by row, and written in pieces."""
MAX_SINGLE_LOOKUPS = 5
"""Ids that a poll looks up one by one. VLM Run's standard plan allows ten requests a minute."""
MAX_POLLS_TO_LARGER_PAGE = 64
"""Polls after which a wait tries a larger page again that failed. The service may have recovered."""
MAX_FAILED_LOOKUPS = 3
"""Failed lookups of single ids after which a poll stops. The rest would fail, too."""
MAX_WAITS_AT_ONCE = 50
"""Waits that a poll serves before other tasks of the event loop run. Serving takes time."""
MAX_EVENT_BYTES = 60_000
"""Bytes of an event of a watcher. Airflow keeps events in its database."""
MAX_ASSET_STATE_SECONDS = 60.0
"""Seconds that a call of an asset's state store may take. The watcher calls it again after the next poll."""

# Landings, storage and tables

MAX_PREFETCH = 32
"""Requests of a landing in flight. Each one brings a page to memory. Change: ``prefetch``, by default 1."""
MIN_STEP = timedelta(hours=1)
"""Seconds by which the watermark moves until a run without news commits. No commit is ever removed."""
MAX_SAVED_ROWS = 1000
"""Unfinished rows that an incremental landing saves for its retry. It saves them after each page."""
MAX_PARTS_PER_BATCH = 10
"""Parts that a worker collects and splits by day. Fewer give small files. Change: ``records_per_part``."""
MAX_GROUP_ROWS = 5_000
"""Records of a row group of Parquet. A group is in memory as a whole."""
MAX_VALUE_ROWS = 50_000
"""Values of a row group of Parquet. A group is in memory as a whole."""
GROUP_BYTES = 16 << 20
"""Bytes of a row group after which the next one begins. A group is in memory as a whole."""
MAX_RESUME_SECONDS = 24 * 3600.0
"""Seconds in which an interrupted landing can resume. After twice as long, a worker removes its files."""
MIN_LOG_SECONDS = 10.0
"""Seconds between two lines of the log about the progress of a landing. The log stays readable."""
STORAGE_SECONDS = 300.0
"""Seconds to read or write an object, or to list a directory. The storage's library retries meanwhile."""
MIN_SPEED = 1 << 20
"""Bytes of an object for which it gets a second more. A network may be slow. Change: ``records_per_part``."""
PIECE_BYTES = 5 << 20
"""Bytes of a part that are sent to an object store at once. They are in memory, and S3 accepts no less."""
MAX_PUT_ATTEMPTS = 3
"""Attempts to create an object or its directory. A failed one may have written it, so each is looked up."""
MAX_STATE_READS = 20
"""Attempts to find the newest state of a path. Others commit meanwhile; the task's retry cures this."""
MAX_RECENT_COMMITS = 64
"""Commits that the state of a path holds. The index has the older ones, so the state stays small."""
MAX_LISTED_PARTS = 4
"""Parts of a commit that the state and the index hold. The log has all, so the state stays small."""
MAX_TABLE_COMMITS = 10
"""Attempts to commit to a table, or to add columns. Others commit meanwhile; the task's retry cures this."""
FILE_BYTES = 256 << 20
"""Bytes as stored after which a day gets another data file. Engines plan by file, so few are better."""

# XComs, assets and reports

MAX_XCOM_BYTES = 1 << 20
"""Bytes of JSON that a list pushes. Airflow keeps it in its database. Change: ``max_xcom_bytes``."""
MAX_XCOM_DEPTH = 100
"""Levels of nesting of an XCom, below which it is text. Airflow's encoder recurses once per level."""
MAX_KEY_LENGTH = 250
"""Characters of a partition key of an asset. Airflow's database holds no more."""
MAX_RECORD_BYTES = 256 << 20
"""Bytes of a record that a report reads. DuckDB reserves several times as many."""
MAX_TITLE_LENGTH = 120
"""Characters of the title of a report. It is one line."""
MAX_LOGO_BYTES = 50_000
"""Bytes of the logo of a report. It is part of the page."""
MAX_SHOWN_BYTES = 8 << 20
"""Bytes of a file of a report that Airflow's UI shows. The API server holds it in memory."""
MAX_SHOW_SECONDS = 30.0
"""Seconds to read a file of a report for Airflow's UI. A person waits for it."""
MAX_REPORTS = 200
"""Reports that the list in Airflow's UI shows. The newest are the ones that people look for."""
MAX_VERDICT_LENGTH = 300
"""Characters of a title or a verdict in that list. A row stays readable."""
